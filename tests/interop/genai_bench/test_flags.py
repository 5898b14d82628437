"""genai-bench's command lines: read unchanged, and run against the embedded endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError

START = """genai-bench benchmark \\
  --api-backend baseten \\
  --api-base "{url}" \\
  --api-key "your-baseten-api-key" \\
"""
CHAT = (
    START
    + """  --api-model-name "Qwen3-30B-A3B-Instruct-2507-FP8" \\
  --model-tokenizer "embedded" \\
  --task text-to-text \\
  --max-requests-per-run 200 \\
  --num-concurrency 8 \\
  --max-time-per-run 600 \\
  --additional-request-params '{{"temperature": 0.7}}'
"""
)
PROMPT = (
    START
    + """  --api-model-name "Mistral-7B-v0.1" \\
  --model-tokenizer "embedded" \\
  --task text-to-text \\
  --additional-request-params '{{"use_prompt_format": true, "temperature": 0.7}}' \\
  --num-concurrency 1 \\
  --traffic-scenario "N(100,100)/(100,100)"
"""
)
WHOLE = (
    START
    + """  --api-model-name "test-model" \\
  --model-tokenizer "embedded" \\
  --task text-to-text \\
  --disable-streaming \\
  --additional-request-params '{{"use_prompt_format": true, "temperature": 0.7}}'
"""
)
IMAGES = (
    START
    + """  --api-model-name "vision-model" \\
  --model-tokenizer "vision/tokenizer" \\
  --task image-text-to-text \\
  --dataset-path {folder} \\
  --max-requests-per-run 50 \\
  --max-time-per-run 10
"""
)
BASE = "benchmark --api-base http://127.0.0.1:9/v1/chat/completions "


@pytest.fixture(scope="module")
def server() -> Iterator[bk.emulator.Emulator]:
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as running:
        yield running


@pytest.mark.baseten("commands")
def test_the_chat_command() -> None:
    config = bk.config_from_command(CHAT.format(url="http://127.0.0.1:9/x"))
    assert (config.endpoint.url, config.endpoint.model) == ("http://127.0.0.1:9/x", "Qwen3-30B-A3B-Instruct-2507-FP8")
    assert config.endpoint.key({}) == "your-baseten-api-key"
    assert (config.concurrency, config.max_requests, config.max_seconds) == ([8], 200, 36_000.0)
    assert config.request_params == {"temperature": 0.7}
    assert config.scenarios == ["N(480,240)/(300,150)", "D(100,100)", "D(100,1000)", "D(2000,200)", "D(7800,200)"]


@pytest.mark.baseten("commands")
def test_the_image_command_takes_the_data_set_as_its_scenario(tmp_path: Path) -> None:
    config = bk.config_from_command(IMAGES.format(url="http://127.0.0.1:9/x", folder=tmp_path))
    assert (config.scenarios, config.dataset, config.tokenizer) == (["dataset"], str(tmp_path), "vision/tokenizer")
    assert (config.task, config.concurrency) == ("image-text-to-text", [1, 2, 4, 8, 16, 32, 64, 128, 256])


@pytest.mark.parametrize(("command", "path"), [(CHAT, "url"), (PROMPT, "prompt_url"), (WHOLE, "prompt_url")])
@pytest.mark.baseten("commands")
def test_the_commands_run(server: bk.emulator.Emulator, command: str, path: str) -> None:
    config = bk.config_from_command(command.format(url=getattr(server, path)))
    small = {"concurrency": config.concurrency[:1], "max_requests": 2, "scenarios": ["D(10,5)"], "steady": False}
    server.truth(reset=True)
    run = bk.run_sync(config.model_copy(update=small))
    body = json.loads(server.truth()["bodies"][0]["body"])
    assert set(run.requests["outcome"]) == {"ok"}
    assert (body["temperature"], body["stream"]) == (0.7, command is not WHOLE)
    assert "use_prompt_format" not in body
    assert ("prompt" in body) == (command is not CHAT)


def test_what_does_not_apply_is_refused_all_at_once_with_what_serves_instead() -> None:
    with pytest.raises(ConfigError) as caught:
        bk.config_from_command(BASE + "--prefix-len 10 --github-repo b --dance now --num-concurrency 2")
    for words in ("--prefix-len (use a scenario", "--dance (unknown"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--api-key 'open", "quotation mark"),
        ("--num-concurrency", "its value is missing"),
        ("loose", "expected a flag, not"),
        ("--additional-request-params [1]", "not a JSON object"),
        ("--additional-request-params {a", "not valid JSON"),
        ("--task text-to-speech", "is not supported"),
        ("--api-backend cohere", "has its own protocol"),
        ("--max-time-per-run soon", "'soon' is not a number"),
        ("--max-time-per-run inf", "--max-time-per-run: 'inf' is not a number"),
        ("--max-requests-per-run nan --warmup-ratio 0", "--max-requests-per-run: 'nan' is not a number"),
        ("--max-requests-per-run inf --warmup-ratio 0.5", "--max-requests-per-run: 'inf' is not a number"),
        ("--max-requests-per-run 1.5 --warmup-ratio 0.5", "--max-requests-per-run: 1.5 is not a whole number"),
        ("--warmup-ratio nan", "--warmup-ratio: 'nan' is not a number"),
        ("--warmup-ratio 1", "at least 0 and below 1"),
        ("--api-key aaaa --model-api-key bbbb", "differ"),
        ("--api-model-name a --api-model-name b", "2 times"),
        ("--distribution normal", "exponential, uniform, constant"),
        ("--batch-size 4", "text-to-embeddings"),
        ("--dataset-prompt-column q", "--dataset-path"),
    ],
)
def test_wrong_use_is_one_sentence(flags: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        bk.config_from_command(BASE + flags)


def test_an_error_names_the_flag_and_not_our_field() -> None:
    with pytest.raises(ConfigError, match=r"^--api-base: it must be an http:// or https:// URL"):
        bk.config_from_command('genai-bench benchmark --api-base "your-endpoint-url"')
    with pytest.raises(ConfigError, match=r"^--num-concurrency"):
        bk.config_from_command(BASE + "--num-concurrency four")
    with pytest.raises(ConfigError, match="--iteration-type: 'batch_size' does not apply to text-to-text"):
        bk.config_from_command(BASE + "--iteration-type batch_size")


def test_a_flag_that_does_nothing_though_something_was_meant_is_said(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.warns(UserWarning, match="--cooldown-ratio has no effect here: .*with_window"):
        bk.config_from_command(BASE + "--cooldown-ratio 0.1")
    with pytest.warns(UserWarning, match="--spawn-rate has no effect here"):
        bk.config_from_command(BASE + "--spawn-rate 3")
    recwarn.clear()
    bk.config_from_command(BASE + "--cooldown-ratio 0 --no-min-tokens --track-network-timing")
    assert not list(recwarn)


@pytest.mark.parametrize(("words", "streams"), [("", False), (" True", False), ("=true", False), (" False", True)])
def test_a_switch_may_have_its_value_as_in_a_recorded_command(words: str, streams: bool) -> None:
    assert bk.config_from_command(f"{BASE}--disable-streaming{words} --num-concurrency 1").endpoint.stream is streams


# genai-bench's flags and its fork's, as their own help has them: each is taken, or refused with what serves instead
KNOWN = """--api-backend --api-base --api-key --api-model-name --task --additional-request-params --model-tokenizer --model
--num-concurrency --batch-size --iteration-type --traffic-scenario --max-time-per-run --max-requests-per-run --warmup-ratio
--cooldown-ratio --num-workers --master-port --spawn-rate --dataset-path --dataset-config --dataset-prompt-column
--dataset-image-column --prefix-len --prefix-ratio --experiment-folder-name --experiment-base-dir --log-dir --server-engine
--server-version --server-gpu-type --server-gpu-count --metrics-time-unit --metrics-refresh-interval --model-auth-type
--model-api-key --aws-access-key-id --aws-region --azure-endpoint --azure-ad-token --gcp-project-id --gcp-credentials-path
--auth --config-file --profile --security-token --region --upload-results --storage-provider --storage-bucket
--storage-prefix --storage-aws-region --storage-azure-sas-token --github-token --namespace --disable-streaming
--execution-engine --qps-level --distribution --track-network-timing --no-min-tokens --tokenizer-from-model"""


@pytest.mark.filterwarnings("ignore:flag_idle")
@pytest.mark.parametrize("flag", KNOWN.split())
def test_every_flag_of_genai_bench_is_known(flag: str) -> None:
    said = ""
    try:
        bk.config_from_command(f"{BASE}{flag} 1")
    except ConfigError as error:
        said = str(error)
    assert "(unknown" not in said


def test_a_url_must_be_given_and_the_command_must_be_benchmark() -> None:
    with pytest.raises(ConfigError, match="--api-base is missing"):
        bk.config_from_command("genai-bench benchmark --task text-to-text")
    with pytest.raises(ConfigError, match="'excel' is not supported"):
        bk.config_from_command("genai-bench excel --experiment-folder x")


def test_an_open_loop_and_a_warm_up() -> None:
    flags = "--qps-level 0.5 --qps-level 2 --distribution exponential --max-requests-per-run=50 --warmup-ratio 0.1"
    config = bk.config_from_command(BASE + flags)
    assert (config.request_rate, config.concurrency, config.arrival) == ([0.5, 2.0], [], "poisson")
    assert (config.warmup_requests, config.max_requests) == (5, 45)


@pytest.mark.parametrize(
    ("base", "task", "url"),
    [
        ("http://127.0.0.1:9", "text-to-text", "http://127.0.0.1:9/v1/chat/completions"),
        ("http://127.0.0.1:9/v1/", "text-to-text", "http://127.0.0.1:9/v1/chat/completions"),
        ("http://127.0.0.1:9/v1/chat/completions", "text-to-text", "http://127.0.0.1:9/v1/chat/completions"),
        ("http://127.0.0.1:9", "text-to-embeddings", "http://127.0.0.1:9/v1/embeddings"),
    ],
)
def test_openai_backends_add_the_path(base: str, task: str, url: str) -> None:
    config = bk.config_from_command(f"benchmark --api-backend openai --api-base {base} --task {task}")
    assert config.endpoint.url == url


@pytest.mark.baseten("keys")
def test_keys_come_in_the_documented_order(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "benchmark --api-backend {} --api-base http://models.example.org/predict"
    monkeypatch.setenv("BASETEN_API_KEY", "of-baseten")
    monkeypatch.delenv("MODEL_API_KEY", raising=False)
    assert bk.config_from_command(command.format("baseten")).endpoint.key() == "of-baseten"
    assert bk.config_from_command(command.format("openai")).endpoint.key() is None
    unsaid = bk.config_from_command("benchmark --api-base http://models.example.org/predict")
    assert unsaid.endpoint.key() is None
    monkeypatch.setenv("MODEL_API_KEY", "of-model")
    assert bk.config_from_command(command.format("baseten")).endpoint.key() == "of-model"
    assert bk.config_from_command(command.format("baseten") + " --model-api-key given").endpoint.key() == "given"


@pytest.mark.parametrize(
    ("task", "scenarios"),
    [
        ("text-to-text", ["N(480,240)/(300,150)", "D(100,100)", "D(100,1000)", "D(2000,200)", "D(7800,200)"]),
        ("image-text-to-text", ["I(512,512)", "I(1024,512)", "I(2048,2048)"]),
        ("text-to-embeddings", ["E(64)", "E(128)", "E(256)", "E(512)", "E(1024)"]),
    ],
)
def test_without_a_scenario_each_task_has_its_own_or_the_data_set(
    task: str, scenarios: list[str], tmp_path: Path
) -> None:
    command = f"benchmark --api-base http://models.example.org/predict --api-model-name m --task {task}"
    assert bk.config_from_command(command).scenarios == scenarios
    assert bk.config_from_command(f"{command} --dataset-path {tmp_path}").scenarios == ["dataset"]
    mixed = "1*E(8)+2*E(9)" if task == "text-to-embeddings" else "1*D(8,2)+2*P(9,1)/3"
    assert bk.config_from_command(f'{command} --traffic-scenario "{mixed}"').scenarios == [mixed]

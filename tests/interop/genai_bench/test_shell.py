"""No shell has read a pasted command: its variables are filled in or refused by name, and never sent unchanged."""

from __future__ import annotations

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.interop.genai_bench.shell import split

FLAGS = "genai-bench benchmark --api-backend openai --traffic-scenario 'D(20,5)' --num-concurrency 1 "
WHERE = "--api-base http://127.0.0.1:9 --api-model-name m "


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "API_BASE": "http://127.0.0.1:9",
        "MODEL_API_KEY": "filled-in-1234",
        "ODD": "a b'c\"d",
        "EMPTY": "",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NOT_SET", raising=False)


@pytest.mark.parametrize(
    "key",
    ['"$MODEL_API_KEY"', "$MODEL_API_KEY", "${MODEL_API_KEY}", '"${MODEL_API_KEY}"', "'$MODEL_API_KEY'", "%MODEL_API_KEY%",
     "$env:MODEL_API_KEY", "${NOT_SET:-filled-in-1234}", "filled-in-${NOT_SET-1234}"],
)  # fmt: skip
@pytest.mark.parametrize("flag", ["--api-key ", "--api-key=", "--model-api-key "])
def test_a_key_in_a_variable_is_filled_in(flag: str, key: str) -> None:
    assert bk.config_from_command(FLAGS + WHERE + flag + key).endpoint.api_key.get_secret_value() == "filled-in-1234"  # type: ignore[union-attr]


def test_variables_serve_in_any_value_and_keep_their_spaces_and_quotes() -> None:
    config = bk.config_from_command(FLAGS + '--api-base "$API_BASE" --api-model-name $ODD')
    assert (config.endpoint.url, config.endpoint.model) == ("http://127.0.0.1:9/v1/chat/completions", "a b'c\"d")
    text = FLAGS + WHERE + '--additional-request-params "{\\"user\\": \\"$API_BASE\\"}"'
    assert bk.config_from_command(text).request_params == {"user": "http://127.0.0.1:9"}


@pytest.mark.parametrize(
    "value", ["$NOT_SET", '"$NOT_SET"', "'$NOT_SET'", "x-${NOT_SET}-y", "$EMPTY", "%NOT_SET%", "$env:NOT_SET"]
)
@pytest.mark.parametrize(
    "flag", ["--api-model-name", "--api-key", "--model-tokenizer", "--dataset-path", "--traffic-scenario"]
)
def test_a_variable_that_is_not_set_is_refused_by_flag_and_name(flag: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{flag}: the shell variable \S*(NOT_SET|EMPTY)\S* is not set or is empty"):
        bk.config_from_command(f"{FLAGS} --api-base http://h {flag} {value}")


@pytest.mark.parametrize(
    "value",
    ["{model_id}", "https://model-{model_id}.api.baseten.co/p", "{{ MODEL }}", "<your-key>", "x<MODEL ID>"],
)
def test_a_name_that_was_not_filled_in_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"^--api-base: \S+.* is the name of a variable that was not filled in"):
        bk.config_from_command(f"{FLAGS} --api-base '{value}'")


@pytest.mark.parametrize("value", ["$(cat key)", "`cat key`", '"$(cat key)"', "${NOT_SET?gone}"])
def test_what_only_a_shell_can_do_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"write its (result|value) in its place"):
        bk.config_from_command(FLAGS + WHERE + f"--api-key {value}")


@pytest.mark.parametrize(
    ("written", "meant"),
    [("'pa$$word'", "pa$$word"), (r"a\$b", "a$b"), (r'"a\$NOT_SET"', "a$NOT_SET"), ("'a$NOT_SET'", "a$NOT_SET"), ("a$", "a$"),
     ("'$(x)'", "$(x)"), ("'`x`'", "`x`"), ("cost$5", "cost$5"), ("a%20b%20", "a%20b%20")],
)  # fmt: skip
def test_what_a_shell_leaves_alone_stays(written: str, meant: str) -> None:
    assert split(f"x --api-key {written}")[-1] == meant


def test_json_of_the_users_own_stays() -> None:
    text = FLAGS + WHERE + """--additional-request-params '{"stop": ["$END", "{x}", "<end>"]}'"""
    assert bk.config_from_command(text).request_params == {"stop": ["$END", "{x}", "<end>"]}


@pytest.mark.parametrize("break_", ["\\\n", "`\n", "^\r\n", " \\ \n"])
def test_lines_may_be_continued_as_any_shell_does_it(break_: str) -> None:
    assert split(f"$ genai-bench benchmark {break_} --api-key k") == ["genai-bench", "benchmark", "--api-key", "k"]


def test_what_is_no_text_is_refused() -> None:
    for wrong in (5, ["genai-bench", "benchmark"], None):
        with pytest.raises(ConfigError, match=r"^config_from_command takes the command's text, not \w+$"):
            bk.config_from_command(wrong)  # type: ignore[arg-type]


def test_a_key_that_is_set_before_the_command_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="'MODEL_API_KEY' is not a supported command") as caught:
        bk.config_from_command("MODEL_API_KEY=planted-4711 genai-bench benchmark --api-base http://h")
    assert "planted-4711" not in str(caught.value)

"""A genai-bench command line -> the RunConfig that does the same, so that an existing command runs unchanged.

Flags keep their meaning and their unit (`--max-time-per-run` is in minutes). Flags that describe the server or control
genai-bench itself do not change the requests: they are accepted and have no effect. All others are refused by name, with a
replacement. If a flag were ignored without a message, the figures would describe a different workload from the one requested.
"""

from __future__ import annotations

import json
import math
import os
import shlex
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from ...config.endpoint import KEY_VARIABLES, Endpoint
from ...config.run_config import RunConfig
from ...config.tasks import TASKS
from ...core.errors import ConfigError, Location
from ...core.notes import note
from ...storage.address import Storage
from ..github_releases import Release
from . import uploads
from .refused import refusal
from .shell import split

# flags whose value is used
VALUES = (
    "--api-backend",
    "--api-base",
    "--api-key",
    "--model-api-key",
    "--api-model-name",
    "--task",
    "--model-tokenizer",
    "--additional-request-params",
    "--num-concurrency",
    "--batch-size",
    "--iteration-type",
    "--traffic-scenario",
    "--qps-level",
    "--distribution",
    "--max-time-per-run",
    "--max-requests-per-run",
    "--warmup-ratio",
    "--num-workers",
    "--dataset-path",
    "--dataset-config",
    "--dataset-prompt-column",
    "--dataset-image-column",
)
SWITCHES = ("--disable-streaming", "--tokenizer-from-model")
# accepted, without effect on requests or measurements
IDLE = (
    "--server-engine",
    "--server-version",
    "--server-gpu-type",
    "--server-gpu-count",
    "--metrics-time-unit",
    "--metrics-refresh-interval",
    "--master-port",
    "--execution-engine",
    "--model",
)
# likewise, because what they ask for is so here without them: no min_tokens is sent, each connection's times are columns
IDLE_SWITCHES = ("--track-network-timing", "--no-min-tokens")
# accepted without effect although they have one in genai-bench; a warning reports it
SAID = {
    "--spawn-rate": "a level starts its users by itself, before the measured window",
    "--cooldown-ratio": "the end of a closed loop is always outside the measured window; "
    "run.with_window(skip_last=N) excludes another number of requests",
    "--log-dir": "no log is written; LOG_LEVEL=DEBUG shows requests and responses",
}
COMPATIBLE = ("openai", "vllm", "sglang", "together")
SCENARIOS = {
    "text-to-text": ["N(480,240)/(300,150)", "D(100,100)", "D(100,1000)", "D(2000,200)", "D(7800,200)"],
    "image-text-to-text": ["I(512,512)", "I(1024,512)", "I(2048,2048)"],
    "text-to-embeddings": ["E(64)", "E(128)", "E(256)", "E(512)", "E(1024)"],
}
CONCURRENCY = [1, 2, 4, 8, 16, 32, 64, 128, 256]
BATCH_SIZES = [1, 2, 4, 8, 24, 48, 96]
ARRIVALS = {"exponential": "poisson", "uniform": "uniform", "constant": "constant"}
# a field of ours -> the flag that fills it
FIELDS = {
    "url": "--api-base",
    "model": "--api-model-name",
    "api_key": "--api-key",
    "tokenizer": "--model-tokenizer",
    "scenarios": "--traffic-scenario",
    "concurrency": "--num-concurrency",
    "request_rate": "--qps-level",
    "batch_size": "--batch-size",
    "max_requests": "--max-requests-per-run",
    "max_seconds": "--max-time-per-run",
    "workers": "--num-workers",
    "request_params": "--additional-request-params",
}
_ENDINGS = ("/chat/completions", "/completions", "/embeddings", "/predict")


def config_from_command(text: str) -> RunConfig:
    """The RunConfig of a `genai-bench benchmark` command, given as its unchanged text, which may have line continuations.

    If a flag has an effect in genai-bench but none here, a UserWarning reports it. Missing flags have genai-bench's defaults
    for the task, except that a data set without a scenario means `dataset`, and that missing limits have the defaults of
    RunConfig. ConfigError names every flag that does not apply. Nothing is sent or downloaded.
    """
    if not isinstance(text, str):
        raise ConfigError(f"config_from_command takes the command's text, not {type(text).__name__}")
    given = _read(_words(text))
    uploads.warn_of_uploads(given)
    for flag in SAID:
        if flag in given and _number_or_text(given[flag][0]) != 0:
            warnings.warn(str(note("flag_idle", flag=flag, why=SAID[flag])), stacklevel=2)
    try:
        return _config(given)
    except ConfigError as error:
        raise type(error)(errors=[(_by_flag(at), said) for at, said in error.errors]) from None


def upload_from_command(text: str) -> tuple[str, Storage | Release | None]:
    """The command without its flags for uploading, and the folder of the bucket, or the GitHub release, that they name; None if it
    uploads nothing."""
    words = _words(text)
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        flag, has_value, _ = word.partition("=")
        if flag in uploads.VALUES:
            rest = rest if has_value else rest[1:]
        elif flag in uploads.SWITCHES:
            rest = rest[1:] if not has_value and rest[:1] and rest[0].lower() in ("true", "false") else rest
        else:
            kept.append(word)
    return shlex.join(["genai-bench", "benchmark", *kept]), uploads.storage_of(_read(words))


def _config(given: Mapping[str, list[str]]) -> RunConfig:
    task = _one(given, "--task") or "text-to-text"
    if task not in TASKS:
        raise ConfigError(f"--task: {task!r} is not supported; it must be one of {', '.join(TASKS)}")
    fields = {"task": task, "endpoint": _endpoint(given, task), **_load(given, task), **_limits(given)}
    dataset = _dataset(given)
    scenarios = given.get("--traffic-scenario") or (["dataset"] if dataset is not None else SCENARIOS[task])
    name = "--additional-request-params"
    params = _json(_one(given, name) or "{}", name)
    return RunConfig(**fields, scenarios=scenarios, dataset=dataset, tokenizer=_tokenizer(given), request_params=params)


def _by_flag(at: Location) -> Location:
    """The location of an error, with the field's name in the command."""
    return (FIELDS[at[1]], *at[2:]) if at[1:2] and at[1] in FIELDS else at


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _words(text: str) -> list[str]:
    """The command's words, less its name; `%`, `!` and `$` of a notebook or a prompt go too."""
    words = split(text)
    if words and words[0] in ("genai-bench", "genai_bench", "basetenkit"):
        words = words[1:]
    if words and not words[0].startswith("-"):
        if words[0] != "benchmark":
            if words[0] in ("excel", "plot"):
                raise ConfigError(
                    f"{words[0]!r} is not supported here because it reads a folder of results; use basetenkit {words[0]} "
                    "takes its flags, and bk.read_genai_bench(folder) gives the Run for bk.report and bk.charts"
                )
            name = words[0].partition("=")[0]  # a variable set before a command may be a key
            raise ConfigError(f"{name!r} is not a supported command; it must begin with genai-bench benchmark")
        words = words[1:]
    return words


def _read(words: Sequence[str]) -> dict[str, list[str]]:
    """Flag -> its values; refuses all flags that do not apply in one error, so that one correction is enough."""
    given: dict[str, list[str]] = {}
    refused: list[str] = []
    rest = list(words)
    while rest:
        flag, has_value, value = rest.pop(0).partition("=")
        if not flag.startswith("--"):
            raise ConfigError(f"expected a flag, not {flag!r}; a value with spaces or parentheses needs quotes")
        if flag in SWITCHES + IDLE_SWITCHES + uploads.SWITCHES:
            wish = value if has_value else rest.pop(0) if rest and rest[0].lower() in ("true", "false") else "true"
            if wish.lower() != "false":  # as the command that genai-bench keeps in its metadata has them
                given.setdefault(flag, []).append("true")
        elif flag in (*VALUES, *IDLE, *SAID, *uploads.VALUES):
            if not has_value and not rest:
                raise ConfigError(f"{flag}: its value is missing")
            given.setdefault(flag, []).append(value if has_value else rest.pop(0))
        else:
            refused.append(refusal(flag, (*VALUES, *SWITCHES)))
            while rest and not rest[0].startswith("--"):
                rest.pop(0)
    if refused:
        raise ConfigError("these flags do not apply here: " + "; ".join(refused))
    return given


def _one(given: Mapping[str, list[str]], flag: str) -> str | None:
    values = given.get(flag, [])
    if len(set(values)) > 1:
        raise ConfigError(f"{flag} is given {len(values)} times, but a run has one: make a config for each")
    return values[0] if values else None


def _json(text: str, flag: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{flag}: it is not valid JSON ({error}); e.g. '{{\"temperature\": 0.7}}'") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{flag}: it is not a JSON object; e.g. '{{\"temperature\": 0.7}}'")
    return value


def _number(given: Mapping[str, list[str]], flag: str) -> float | None:
    text = _one(given, flag)
    try:
        number = None if text is None else float(text)
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise ConfigError(f"{flag}: {text!r} is not a number")
    return number


def _endpoint(given: Mapping[str, list[str]], task: str) -> Endpoint:
    backend, base = _one(given, "--api-backend") or "baseten", _one(given, "--api-base")
    if base is None:
        raise ConfigError("--api-base is missing: the endpoint's URL")
    if backend != "baseten" and backend not in COMPATIBLE:
        known = ", ".join(("baseten", *COMPATIBLE))
        raise ConfigError(f"--api-backend: {backend!r} has its own protocol; supported: {known}")
    url = base if backend == "baseten" else _with_path(base, task)
    endpoint = Endpoint(
        url=url, model=_one(given, "--api-model-name"), stream="--disable-streaming" not in given, api_key=_key(given)
    )
    if (
        "--api-backend" in given
        and backend == "baseten"
        and endpoint.api_key is None
        and not os.environ.get(KEY_VARIABLES[0], "").strip()
    ):
        # a host of the user's own in front of Baseten: the backend says whose key this is
        endpoint = endpoint.with_(api_key=os.environ.get(KEY_VARIABLES[1]))
    return endpoint


def _key(given: Mapping[str, list[str]]) -> str | None:
    keys = {key for flag in ("--api-key", "--model-api-key") if (key := _one(given, flag))}
    if len(keys) > 1:
        raise ConfigError("--api-key and --model-api-key differ: give one of them")
    return keys.pop() if keys else None


def _with_path(base: str, task: str) -> str:
    """genai-bench's OpenAI backends take a base URL and add the path; one that has it already stays as it is."""
    parts = urlsplit(base.strip())
    path = parts.path.rstrip("/")
    if path.endswith(_ENDINGS):
        return base
    version = "" if path.endswith("/v1") else "/v1"
    ending = "/embeddings" if task == "text-to-embeddings" else "/chat/completions"
    return urlunsplit(parts._replace(path=f"{path}{version}{ending}"))


def _load(given: Mapping[str, list[str]], task: str) -> dict[str, object]:
    distribution = _one(given, "--distribution") or "exponential"
    if distribution not in ARRIVALS:
        raise ConfigError(f"--distribution: {distribution!r} is not one of {', '.join(ARRIVALS)}")
    rates, batches = given.get("--qps-level", []), given.get("--batch-size")
    embeddings = task == "text-to-embeddings"
    over = _one(given, "--iteration-type") or "num_concurrency"
    if over not in (("num_concurrency", "batch_size") if embeddings else ("num_concurrency",)):
        raise ConfigError(f"--iteration-type: {over!r} does not apply to {task}; leave it out, or use num_concurrency")
    levels = [] if rates else [1] if embeddings else CONCURRENCY
    if batches and not embeddings:
        raise ConfigError(f"--batch-size: {task} sends one input per request; this flag is for text-to-embeddings")
    return {
        "concurrency": given.get("--num-concurrency", levels),
        "request_rate": rates,
        "arrival": ARRIVALS[distribution],
        "batch_size": batches or (BATCH_SIZES if embeddings else [1]),
    }


def _limits(given: Mapping[str, list[str]]) -> dict[str, object]:
    """genai-bench takes its warm-up out of the requests of a level; here it is in addition to the measured ones."""
    fields: dict[str, object] = {}
    if (minutes := _number(given, "--max-time-per-run")) is not None:
        fields["max_seconds"] = minutes * 60
    if (text := _one(given, "--max-requests-per-run")) is not None:
        fields["max_requests"] = text
    if (workers := _one(given, "--num-workers")) is not None:
        fields["workers"] = workers
    if (ratio := _number(given, "--warmup-ratio")) is not None:
        if not 0 <= ratio < 1:
            raise ConfigError(f"--warmup-ratio: {ratio:g} must be at least 0 and below 1, e.g. 0.1")
        count = _number(given, "--max-requests-per-run")
        if count is not None and count != int(count):
            raise ConfigError(f"--max-requests-per-run: {count:g} is not a whole number")
        asked = int(RunConfig.model_fields["max_requests"].default if count is None else count)
        fields |= {"warmup_requests": int(asked * ratio), "max_requests": asked - int(asked * ratio)}
    return fields


def _dataset(given: Mapping[str, list[str]]) -> object:
    """A path, a dataset config's file, or where columns are named the description that has them."""
    path, described = _one(given, "--dataset-path"), _one(given, "--dataset-config")
    names = {"prompt_column": "--dataset-prompt-column", "image_column": "--dataset-image-column"}
    columns = {key: _one(given, flag) for key, flag in names.items() if flag in given}
    if path and described:
        raise ConfigError("--dataset-path and --dataset-config: give one of them")
    if columns and not path:
        raise ConfigError("--dataset-prompt-column and --dataset-image-column go with --dataset-path")
    if not columns:
        return path or described
    kind = "file" if Path(str(path)).exists() else "huggingface"
    return {"source": {"type": kind, "path": path}, **columns}


def _tokenizer(given: Mapping[str, list[str]]) -> str | None:
    if "--tokenizer-from-model" in given and "--model-tokenizer" not in given:
        return _one(given, "--api-model-name")
    return _one(given, "--model-tokenizer") or "embedded"

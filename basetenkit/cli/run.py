"""`basetenkit run`: measures from the command line, with the names of RunConfig."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..analysis.gates import GOODPUT
from ..config.endpoint import Endpoint
from ..config.run_config import RunConfig
from ..config.tasks import TASKS
from ..core.errors import ConfigError
from ..core.types import JsonObject
from .console import AsJson, Goodput, OnCluster, Pricing, Quiet, Yes
from .measure import limits, measure, new_folder, prices

LOAD, REQUESTS, END = "Load", "Requests", "Limits and results"
_DEFAULTS = RunConfig.model_fields


def _in(panel: str, text: str, metavar: str | None = None) -> object:
    return typer.Option(rich_help_panel=panel, help=text, metavar=metavar)


_Url = Annotated[
    str, typer.Argument(help="The endpoint's URL, e.g. http://host:8000/v1; a complete URL is used unchanged.")
]
_Model = Annotated[str | None, typer.Option("--model", "-m", help="The model's name.")]
_Concurrency = Annotated[
    str | None,
    _in(LOAD, "Requests in flight, one level for each number, e.g. 1,8,32. \\[default: 1, unless --rate is given]"),
]
_Rate = Annotated[str | None, _in(LOAD, "Requests per second, one level for each number, e.g. 2.5,5.")]
_Scenario = Annotated[
    list[str] | None,
    _in(LOAD, 'Tokens of prompt and output, e.g. "D(100,100)"; repeat it for several. \\[default: D(100,100)]'),
]
_Requests = Annotated[str, _in(LOAD, "Measured requests per level, or auto.")]
_Seconds = Annotated[float, _in(LOAD, "Maximum duration of a level in seconds.")]
_Warmup = Annotated[int, _in(LOAD, "Requests to send before the measured ones.")]
_Repeats = Annotated[int, _in(LOAD, "How many times to run each level.")]
_Workers = Annotated[int, _in(LOAD, "Processes that send; 0 sends from a thread of this process.")]
_Task = Annotated[str, _in(REQUESTS, f"One of {', '.join(TASKS)}.")]
_Format = Annotated[str, typer.Option("--format", rich_help_panel=REQUESTS, help="chat or prompt.")]
_Stream = Annotated[bool, _in(REQUESTS, "Request streamed responses.")]
_Params = Annotated[str, _in(REQUESTS, "Additional payload fields as JSON, e.g. '{\"temperature\": 0.7}'.")]
_Dataset = Annotated[str | None, _in(REQUESTS, "A file of prompts, or the name of a data set.")]
_Tokenizer = Annotated[str, _in(REQUESTS, "The model's tokenizer: a name on the hub or a local folder.")]
_Key = Annotated[str | None, _in(REQUESTS, "The API key. Safer: set MODEL_API_KEY or BASETEN_API_KEY.")]
_Slo = Annotated[
    list[str] | None, _in(END, "A limit, e.g. ttft=0.5 or tpot=50ms; repeat it for several.", metavar="NAME=SECONDS")
]
_MaxTokens = Annotated[int | None, _in(END, "Stop the run at so many tokens. \\[default: no limit]")]
_Save = Annotated[
    Path | None,
    _in(END, "The run's folder, or s3://...; an existing one is resumed. \\[default: runs/ and the start time]"),
]


def run(
    url: _Url,
    model: _Model = None,
    concurrency: _Concurrency = None,
    rate: _Rate = None,
    scenario: _Scenario = None,
    requests: _Requests = str(_DEFAULTS["max_requests"].default),
    seconds: _Seconds = _DEFAULTS["max_seconds"].default,
    warmup: _Warmup = 0,
    repeats: _Repeats = 1,
    workers: _Workers = 0,
    task: _Task = "text-to-text",
    request_format: _Format = "chat",
    stream: _Stream = True,
    params: _Params = "{}",
    dataset: _Dataset = None,
    tokenizer: _Tokenizer = "embedded",
    api_key: _Key = None,
    slo: _Slo = None,
    goodput: Goodput = GOODPUT,
    max_total_tokens: _MaxTokens = None,
    price: Pricing = None,
    save: _Save = None,
    cluster: OnCluster = None,
    yes: Yes = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure an endpoint.

    For example:

    \b
    basetenkit run http://127.0.0.1:8000/v1 --model NAME --concurrency 1,8 \\
      --scenario "D(100,100)" --requests 200 --slo ttft=0.5 --save runs/first

    Set the API key in MODEL_API_KEY: other users of the machine can see a command line. Exit codes: 0 success; 1 no request
    succeeded, or a limit of --slo was missed; 2 wrong usage; 130 interrupted.
    """
    fields: JsonObject = {
        "max_requests": requests,
        "max_seconds": seconds,
        "warmup_requests": warmup,
        "repeats": repeats,
    }
    fields |= {
        "workers": workers,
        "task": task,
        "request_params": params,
        "tokenizer": tokenizer,
        "slo": limits(slo or []),
    }
    fields |= {"max_total_tokens": max_total_tokens, "scenarios": scenario or None, "dataset": dataset}
    fields |= {"price": prices(price) if price else None}
    fields |= {"concurrency": _numbers("--concurrency", concurrency), "request_rate": _numbers("--rate", rate)}
    endpoint = Endpoint(url=url, model=model, api_key=api_key, stream=stream, **_checked(request_format))
    given = {name: value for name, value in fields.items() if value is not None}
    config = RunConfig(endpoint=endpoint, **given).with_whole_url()
    folder = save or new_folder()
    raise typer.Exit(measure(config, folder, goodput=goodput, as_json=as_json, quiet=quiet, yes=yes, cluster=cluster))


def _checked(request_format: str) -> JsonObject:
    """The format under its field's name; Endpoint checks it."""
    return {"request_format": request_format}


def _numbers(flag: str, text: str | None) -> list[float] | None:
    """ "1,8" -> [1, 8]; None if it is not given. ConfigError if one is not a number."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{flag}: {text!r} must be numbers with commas between them, e.g. {flag} 1,8") from None

"""The command line. It is thin: a script gets the same results from the same names of the API.

`benchmark` accepts genai-bench's flags unchanged; this module defines only the additional ones (`--save-to`, `--slo`, `--json`...).
Tables and JSON go to standard output, progress and errors to standard error. Exit codes: 0 success; 1 a gate failed (no request
was ok, or a limit of the SLO was missed); 2 wrong usage or configuration, with one sentence; 130 interrupted, after finished
results were saved.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import basetenkit as bk

from ..core.errors import BasetenkitError, ConfigError
from ..core.progress import ProgressLine, plain
from ..core.types import JsonObject
from ..results.store import RunFolder
from . import saved
from .console import AsJson, Pricing, Quiet, Traffic, console, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..config.run_config import RunConfig
    from ..runs import Run
    from ..session import LiveRun

FAILED, USAGE, INTERRUPTED = 1, 2, 130
GOODPUT = 0.99
UNPARSED = {"ignore_unknown_options": True, "allow_extra_args": True}
WAIT_S = 0.25
MEASURE, SAVED, HELP = "Measure", "Saved runs", "Tools"
KEPT, GATES = "Where to save", "Gates: exit with code 1 if not met"
app = typer.Typer(
    help="Measure language-model endpoints: Baseten's and any OpenAI-compatible one.",
    epilog="Exit codes: 0 success; 1 a gate failed; 2 wrong usage or configuration; 130 interrupted, finished results are saved. "
    "LOG_LEVEL=DEBUG shows each request and response of a benchmark, without the key.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """The entry point. An error of basetenkit is printed as one sentence, without a traceback."""
    try:
        app(prog_name="basetenkit")
    except BasetenkitError as error:
        sys.stderr.write(f"basetenkit: {plain(str(error))}\n")
        sys.exit(USAGE)


@app.command(context_settings=UNPARSED, rich_help_panel=MEASURE)
def benchmark(
    ctx: typer.Context,
    save_to: Annotated[
        Path | None,
        typer.Option(rich_help_panel=KEPT, help="The run's folder; an existing one is resumed."),
    ] = None,
    experiment_base_dir: Annotated[
        Path | None, typer.Option(rich_help_panel=KEPT, help="As in genai-bench: the folder that contains runs.")
    ] = None,
    experiment_folder_name: Annotated[
        str | None, typer.Option(rich_help_panel=KEPT, help="As in genai-bench: the run's name in it.")
    ] = None,
    slo: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SECONDS", rich_help_panel=GATES, help="A limit, e.g. ttft_s=0.5 or ttft=500ms."),
    ] = None,
    goodput: Annotated[
        float, typer.Option(min=0, max=1, rich_help_panel=GATES, help="Share of requests that must meet every --slo.")
    ] = GOODPUT,
    price: Pricing = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a benchmark with genai-bench's flags.

    These flags work as in genai-bench, in addition to the options below:

    \b
    endpoint  --api-base --api-backend --api-key --api-model-name --disable-streaming
    request   --task --traffic-scenario --additional-request-params --model-tokenizer
    data      --dataset-path --dataset-config --dataset-prompt-column --dataset-image-column
    load      --num-concurrency --qps-level --distribution --batch-size --num-workers
    limits    --max-requests-per-run --max-time-per-run (minutes) --warmup-ratio

    \b
    For example:
    basetenkit benchmark --api-base URL --api-model-name NAME --num-concurrency 8 \\
      --traffic-scenario "D(100,100)" --max-requests-per-run 200 --max-time-per-run 10

    Set the API key in MODEL_API_KEY: other users of the machine can see a command line.

    Without --save-to, the run is saved in runs/, named after its start time.
    """
    if save_to and (experiment_base_dir or experiment_folder_name):
        raise ConfigError(
            "--save-to is the complete path of the run's folder: give it or genai-bench's --experiment-..., not both"
        )
    config = _config(ctx.args, quiet, price)
    debug = os.environ.get("LOG_LEVEL", "").upper() == "DEBUG"
    config = config.with_(**({"slo": _limits(slo)} if slo else {}), **({"capture": "all"} if debug else {}))
    folder = save_to or _folder(experiment_base_dir, experiment_folder_name)
    traffic = Traffic(RunFolder(folder), config.endpoint.url) if debug else None
    live = bk.start(config, save_to=folder)
    interrupted = _wait(live, quiet, traffic)
    run = live.result()
    if traffic is not None:
        traffic.show_new()
    missed = _missed(run, goodput)
    _show_run(run, folder, missed, as_json, quiet)
    raise typer.Exit(INTERRUPTED if interrupted else FAILED if missed else 0)


def _config(words: list[str], quiet: bool, price: Sequence[str] | None) -> RunConfig:
    """The config of genai-bench's flags, with its price; warnings go to standard error."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", UserWarning)
        config = bk.config_from_command(shlex.join(["genai-bench", "benchmark", *words])).with_whole_url()
    _say(noted, quiet)
    return config.with_(price=_price(price)) if price else config


def _say(noted: list[warnings.WarningMessage], quiet: bool) -> None:
    """Write the warnings to standard error, one per line."""
    for one in noted:
        if not quiet:
            sys.stderr.write(f"basetenkit: {plain(str(one.message))}\n")


def _limits(texts: Sequence[str]) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(pairs.values()):
        raise ConfigError(f"--slo: {' '.join(texts)!r} is not NAME=SECONDS, e.g. --slo ttft_s=0.5")
    return pairs


def _price(texts: Sequence[str]) -> dict[str, str]:
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(pairs.values()):
        raise ConfigError(f"--price: {' '.join(texts)!r} is not NAME=VALUE, e.g. --price usd_per_minute=0.1")
    return pairs


def _folder(base: Path | None, name: str | None) -> Path:
    return (base or Path("." if name else "runs")) / (name or time.strftime("%Y%m%d-%H%M%S"))


def _wait(live: LiveRun, quiet: bool, traffic: Traffic | None) -> bool:
    """Waits for the end with a line on the terminal; True where an interrupt stopped the run, which then is whole on its folder."""
    line = ProgressLine(kept=False, hidden=quiet or traffic is not None)
    try:
        while not live.done:
            time.sleep(WAIT_S)
            if traffic is not None:
                traffic.show_new()
            line.show(live.progress)
    except KeyboardInterrupt:
        live.stop("the run was interrupted")
        live.result()
        return True
    finally:
        line.close(live.progress)
    return False


def _missed(run: Run, goodput: float) -> list[str]:
    """Why gates failed, one sentence each. A goodput that could not be measured counts as missed."""
    from ..analysis import gates

    rows = run.requests
    if not ((rows["outcome"] == "ok") & (rows["phase"] == "measured")).any():
        return ["No request was ok."]
    return [gate.sentence for gate in gates.slo(run, goodput) if gate.verdict == gates.FAIL]


def _show_run(run: Run, folder: Path, missed: list[str], as_json: bool, quiet: bool) -> None:
    found = [{"code": f.code, "sentence": f.sentence, "cure": f.cure} for f in run.findings]
    if as_json:
        frames = {"summary": run.summary.to_dicts(), "fates": run.fates.to_dicts()}
        print_json(
            {
                "folder": str(folder),
                "complete": run.complete,
                **frames,
                "findings": found,
                "missed": missed,
                "usd": run.usd,
            }
        )
    if as_json or quiet:
        return
    from ..reporting.tables import costs, overview_rows

    out = console()
    rows = overview_rows(run)
    titles = [f"{row['scenario']}\n{row['load']}" for row in rows]
    names = [name for name in rows[0] if name not in ("scenario", "load")] if rows else []
    print_table(["", *titles], [[name, *(row[name] for row in rows)] for name in names])
    if run.config.price is not None:
        out.print(f"\n{costs(run)!r}")
    for one in found:
        out.print(plain(f"\n{one['code']}: {one['sentence']} {one['cure']}"))
    for sentence in missed:
        out.print(f"\nmissed: {sentence}")
    out.print(f"\n{run!r}\nin {folder}")


@app.command(rich_help_panel=MEASURE)
def preflight(
    url: Annotated[str, typer.Argument(help="The URL; a URL with a path is used unchanged.")],
    model: Annotated[str | None, typer.Option(help="The model's name.")] = None,
    api_key: Annotated[
        str | None, typer.Option(help="The API key. Safer: set MODEL_API_KEY or BASETEN_API_KEY.")
    ] = None,
    auth_scheme: Annotated[str, typer.Option(help="auto, Api-Key, Bearer or none.")] = "auto",
    request_format: Annotated[str, typer.Option(help="chat or prompt.")] = "chat",
    stream: Annotated[bool, typer.Option(help="Request a streamed response.")] = True,
    task: Annotated[str | None, typer.Option(help="text-to-text, image-text-to-text or text-to-embeddings.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Send one small request: what works, what to fix."""
    given: JsonObject = {"auth_scheme": auth_scheme, "request_format": request_format, "stream": stream}
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", UserWarning)
        found = bk.preflight(bk.Endpoint(url=url, model=model, api_key=api_key, **given), task=task)
    _say(noted, quiet)
    facts = {"ok": found.ok, "outcome": found.outcome, "status": found.status, "message": found.message}
    if as_json:
        print_json({**facts, "checks": found.checks, "advice": found.advice})
    elif not quiet:
        print_table(["check", "result"], [*found.checks.items(), *(("to fix", advice) for advice in found.advice)])
    raise typer.Exit(0 if found.ok else FAILED)


saved.add(app, SAVED)


@app.command(context_settings=UNPARSED, add_help_option=False, rich_help_panel=HELP)
def emulator(ctx: typer.Context) -> None:
    """Start the embedded endpoint, which has its own flags."""
    from ..emulator.__main__ import main as serve

    raise typer.Exit(serve(ctx.args))


@app.command(rich_help_panel=HELP)
def doctor(as_json: AsJson = False) -> None:
    """Print the information for a bug report, without secrets."""
    from ..studies.doctor import doctor as examine

    found = examine()
    if as_json:
        print_json(found)
    else:
        words = {True: "yes", False: "no", None: "–"}
        print_table(
            ["check", "result"],
            [(k, words[v] if v is None or v is True or v is False else str(v)) for k, v in found.items()],
        )

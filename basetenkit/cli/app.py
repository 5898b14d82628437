"""The command line. It is thin: a script gets the same results from the same names of the API.

`benchmark` accepts genai-bench's flags unchanged; this module defines only the additional ones (`--save-to`, `--slo`, `--json`...).
Tables and JSON go to standard output, progress and errors to standard error. Exit codes: 0 success; 1 a gate failed (no request
was ok, or a limit of the SLO was missed); 2 wrong usage or configuration, with one sentence; 130 interrupted, after finished
results were saved.
"""

from __future__ import annotations

import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import basetenkit as bk

from ..analysis.gates import GOODPUT
from ..core.errors import BasetenkitError, ConfigError
from ..core.progress import plain
from ..core.types import JsonObject
from ..interop.genai_bench.flags import upload_from_command
from ..interop.genai_bench.uploads import UPLOAD
from ..interop.github_releases import Release, upload_run
from ..results.store import RUN_FILE
from ..storage.address import Storage
from . import saved
from .capacity import capacity
from .console import GATES, AsJson, Goodput, OnCluster, Pricing, Quiet, Yes, print_json, print_table
from .measure import FAILED, USAGE, limits, measure, new_folder, prices
from .run import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..config.run_config import RunConfig

UNPARSED = {"ignore_unknown_options": True, "allow_extra_args": True}
MEASURE, SAVED, HELP = "Measure", "Saved runs", "Tools"
KEPT = "Where to save"
TWO_PLACES = (
    "--save-to is the complete path of the run's folder: give it, or genai-bench's --experiment-... and --upload-results, "
    "not both"
)
app = typer.Typer(
    help="Measure language-model endpoints: Baseten's and any OpenAI-compatible one.",
    epilog="Exit codes: 0 success; 1 a gate failed; 2 wrong usage or configuration; 130 interrupted, finished results are saved. "
    "LOG_LEVEL=DEBUG shows each request and response of a benchmark, without the key.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"basetenkit {bk.__version__}\n")
        raise typer.Exit()


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Measure language-model endpoints: Baseten's and any OpenAI-compatible one."""


app.command("run", rich_help_panel=MEASURE)(run)
app.command("capacity", context_settings=UNPARSED, rich_help_panel=MEASURE)(capacity)


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
        typer.Option(
            rich_help_panel=KEPT, help="The run's folder, here or s3://, gs://, az://; an existing one is resumed."
        ),
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
    goodput: Goodput = GOODPUT,
    price: Pricing = None,
    cluster: OnCluster = None,
    yes: Yes = False,
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
    upload    --upload-results --storage-provider --storage-bucket --storage-prefix --github-owner --github-repo

    \b
    For example:
    basetenkit benchmark --api-base URL --api-model-name NAME --num-concurrency 8 \\
      --traffic-scenario "D(100,100)" --max-requests-per-run 200 --max-time-per-run 10

    Set the API key in MODEL_API_KEY: other users of the machine can see a command line.

    Without --save-to, the run is saved in runs/, named after its start time.
    """
    if save_to and (experiment_base_dir or experiment_folder_name or UPLOAD in ctx.args):
        raise ConfigError(TWO_PLACES)
    config, target = _config(ctx.args, quiet, price)
    config = config.with_(slo=limits(slo)) if slo else config
    folder = save_to or new_folder(
        target if isinstance(target, Storage) else experiment_base_dir, experiment_folder_name
    )
    left = _left_open(ctx.args, config)
    code = measure(
        config, folder, goodput=goodput, as_json=as_json, quiet=quiet, yes=yes, chosen_for_you=left, cluster=cluster
    )
    _upload(folder, target, quiet)
    raise typer.Exit(code)


def _upload(folder: Path | Storage, release: Storage | Release | None, quiet: bool) -> None:
    """Uploads a run to a release of GitHub, if it was agreed to; a bucket has it already."""
    if isinstance(release, Release) and isinstance(folder, Path) and (folder / RUN_FILE).is_file():
        names = upload_run(folder, release)
        if not quiet:
            sys.stderr.write(f"basetenkit: uploaded {' and '.join(names)} to {release}\n")


def _left_open(words: list[str], config: RunConfig) -> str:
    """What the command did not choose, and how much genai-bench's defaults are; "" if it chose scenarios and levels."""
    flags = {word.partition("=")[0] for word in words}
    data = {"--traffic-scenario", "--dataset-path", "--dataset-config"}
    open_yet = [] if flags & data else ["--traffic-scenario"]
    open_yet += [] if flags & {"--num-concurrency", "--qps-level"} else ["--num-concurrency"]
    if not open_yet:
        return ""
    levels = f"{len(config.scenarios)} scenario(s), {len(config.concurrency) + len(config.request_rate)} level(s) each"
    return f"{' and '.join(open_yet)}: not given, so genai-bench's defaults apply: {levels}"


def _config(words: list[str], quiet: bool, price: Sequence[str] | None) -> tuple[RunConfig, Storage | Release | None]:
    """The config of genai-bench's flags, with its price, and where to upload to; warnings go to standard error."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", UserWarning)
        command, target = upload_from_command(shlex.join(["genai-bench", "benchmark", *words]))
        config = bk.config_from_command(command).with_whole_url()
    _say(noted, quiet)
    return config.with_(price=prices(price)) if price else config, target


def _say(noted: list[warnings.WarningMessage], quiet: bool) -> None:
    """Write the warnings to standard error, one per line."""
    for one in noted:
        if not quiet:
            sys.stderr.write(f"basetenkit: {plain(str(one.message))}\n")


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
        typer.echo(found.sentence)
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

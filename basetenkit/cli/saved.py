"""The commands for saved runs: compare, report, excel, plot. Each takes a run's folder, or a result folder of genai-bench.

excel and plot also take genai-bench's own flags, so that its command lines work as they are written. What a flag chooses there
that is not chosen here is named: it changes what a reader sees.
"""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

import basetenkit as bk

from ..core.errors import ConfigError
from ..core.progress import plain
from ..core.types import JsonObject
from ..interop.importers import importer_of, open_run
from ..storage.address import Storage, is_url
from .comparison import show_comparison
from .console import AsJson, Quiet, console, print_json

OF_SEVERAL = {"comparison", "trend"}  # charts that are not of one run
THEIRS = "genai-bench's flags"
KINDS = ("html", "svg", "png", "json")
RunArgument = Annotated[Path, typer.Argument(help="A saved run's folder, here or in a bucket, or genai-bench's.")]
Run = Annotated[
    Path | None,
    typer.Argument(help="A saved run's folder, here or in a bucket, or genai-bench's."),
]


def _theirs(text: str) -> object:
    return typer.Option(rich_help_panel=THEIRS, help=text)


def add(app: typer.Typer, panel: str) -> None:
    """Add the commands to the command line, in this panel of its help."""
    for command in (compare, report, excel, plot):
        app.command(rich_help_panel=panel)(command)
    app.command("open", rich_help_panel=panel)(open_report)


def _one_of(run: Path | None, theirs: Path | None, command: str, flag: str) -> Path:
    if (run is None) == (theirs is None):
        raise ConfigError(f"{command}: give one folder, as {command} FOLDER or as {flag} FOLDER")
    return run or theirs or Path()


def _taken(quiet: bool, given: JsonObject, why: str) -> None:
    """Says which flags of genai-bench were taken and choose nothing here."""
    flags = [flag for flag, value in given.items() if value is not None]
    if flags and not quiet:
        sys.stderr.write(f"basetenkit: {plain(', '.join(flags))}: accepted without effect, {why}\n")


def compare(
    a: Annotated[Path, typer.Argument(help="A saved run's folder, here or in a bucket, or genai-bench's.")],
    b: Annotated[Path, typer.Argument(help="The folder of another run; differences are b - a.")],
    out: Annotated[Path | None, typer.Argument(help="A report to write too; it ends in .html or .xlsx.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare two saved runs.

    The verdict, then difference and ratio of each metric, with 95% intervals.
    """
    found = bk.compare(open_run(a), open_run(b))
    written = None if out is None else bk.report(found, out)
    if as_json:
        levels = {"only_a": found.only_a, "only_b": found.only_b, "settings": found.settings}
        levels |= {"verdict": str(found.verdict), "status": found.verdict.status}
        print_json({"frame": found.frame.to_dicts(), **levels, "words": found.words})
    elif not quiet:
        show_comparison(found)
    if written is not None:
        _wrote([written], as_json=False, quiet=quiet or as_json)


def report(
    run: RunArgument,
    out: Annotated[Path, typer.Argument(help="The file to write; it ends in .html, .xlsx or .csv.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a saved run's report to one file."""
    _wrote([bk.report(open_run(run), out)], as_json, quiet, one=True)


def open_report(
    run: RunArgument,
    browser: Annotated[bool, typer.Option(help="Show it in a web browser; only from a terminal.")] = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make the report of a saved run, in its folder, and open it.

    Prints the verdict and where the report is.
    """
    found = open_run(run)
    page = bk.report(found, (run if run.is_dir() else run.parent) / "report.html")
    if not (as_json or quiet):
        console().print(f"{plain(str(found.verdict))}\n")
    _wrote([page], as_json, quiet, one=True)
    if browser and sys.stdout.isatty():
        webbrowser.open(page.resolve().as_uri())


def excel(
    run: Run = None,
    out: Annotated[Path | None, typer.Argument(help="The workbook to write; it ends in .xlsx.")] = None,
    experiment_folder: Annotated[Path | None, _theirs("The folder, instead of RUN.")] = None,
    excel_name: Annotated[str | None, _theirs("The workbook's name in that folder, instead of OUT.")] = None,
    metric_percentile: Annotated[
        str | None, _theirs("No effect: the workbook has the mean and every percentile.")
    ] = None,
    metrics_time_unit: Annotated[str | None, _theirs("No effect: the workbook's times are in seconds.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write a saved run as an Excel workbook."""
    folder = _one_of(run, experiment_folder, "excel", "--experiment-folder")
    if out is None and run is not None and experiment_folder is None and excel_name is None:
        raise ConfigError("excel: give the file to write; its name ends in .xlsx")
    name = out or folder / f"{(excel_name or 'summary').removesuffix('.xlsx')}.xlsx"
    if name.suffix.lower() != ".xlsx":
        raise ConfigError(f"excel: {name.name!r} should end in .xlsx")
    chosen = {"--metric-percentile": metric_percentile, "--metrics-time-unit": metrics_time_unit}
    _taken(quiet, chosen, "the workbook has the mean and every percentile, in seconds")
    _wrote([bk.report(open_run(folder), name)], as_json, quiet, one=True)


def plot(
    run: Run = None,
    out: Annotated[Path | None, typer.Argument(help="The folder for the charts; created if it does not exist.")] = None,
    kind: Annotated[str, typer.Option(metavar="html|svg|png|json", help="The files' format.")] = "html",
    experiments_folder: Annotated[
        Path | None, _theirs("The folder, instead of RUN, or a folder of runs; charts are saved in it.")
    ] = None,
    group_key: Annotated[str | None, _theirs("No effect: charts group by scenario and load.")] = None,
    preset: Annotated[str | None, _theirs("No effect: the charts are basetenkit's.")] = None,
    metrics_time_unit: Annotated[str | None, _theirs("No effect: each chart names its unit.")] = None,
    verbose: Annotated[bool | None, typer.Option("--verbose", rich_help_panel=THEIRS, help="No effect.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Save all charts of a saved run, one file per chart."""
    if kind not in KINDS:
        raise ConfigError(f"--kind: {kind!r} is not one of {', '.join(KINDS)}")
    folder = _one_of(run, experiments_folder, "plot", "--experiments-folder")
    target = out or (folder if experiments_folder else None)
    if is_url(target):
        raise ConfigError("plot: charts are written to a folder on this machine; give OUT")
    if target is None:
        raise ConfigError("plot: give the folder for the charts")
    chosen = {"--group-key": group_key, "--preset": preset, "--metrics-time-unit": metrics_time_unit}
    _taken(quiet, chosen | {"--verbose": verbose or None}, "the charts are those of bk.charts")
    inside = [] if _is_run(folder) else sorted(path for path in folder.glob("*") if _is_run(path))
    files = [file for one in inside for file in _draw(open_run(one), target / one.name, kind)]
    _wrote(files or _draw(open_run(folder), target, kind), as_json, quiet)


def _is_run(folder: Path) -> bool:
    return importer_of(folder) is not None


def _draw(run: bk.Run, out: Path, kind: str) -> list[Path]:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot create this folder ({error.strerror})") from None
    names = [name for name in bk.charts.__all__ if name not in OF_SEVERAL]
    files = [out / f"{name}.{kind}" for name in names]
    for name, file in zip(names, files, strict=True):
        getattr(bk.charts, name)(run).save(str(file))
    return files


def _wrote(files: Sequence[Path | Storage], as_json: bool, quiet: bool, one: bool = False) -> None:
    if as_json:
        print_json({"written": str(files[0]) if one else [str(file) for file in files]})
    elif not quiet:
        for file in files:
            console().print(f"wrote {file}")

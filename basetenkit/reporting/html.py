"""A run -> one file for people without a notebook: `.html` to read, `.xlsx` to compute with.

The HTML file is complete and runs no script: the charts are pictures inside it, and its policy forbids scripts and downloads,
so text from a server stays text even if it looks like markup. The file is written completely or not at all.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

from ..analysis import figures
from ..analysis.clock_error import BOUNDED, error_name
from ..analysis.compared import Compared
from ..analysis.given import Given, as_run
from ..analysis.verdict import verdict
from ..core.errors import ConfigError, StoreError
from ..core.tables import digits, html_table
from ..core.types import NewRow, Row
from ..results.documents import write_document
from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..storage.address import Place, Storage, as_place
from . import charts, comparison_report, workbook
from .page import PagePicture, Section, document, pictured
from .tables import answer_table, costs, latencies, overview, tokens

PICTURES_MAX = 2_000_000  # bytes; as base64 a third more, and the file stays below 3 MB
CELL_MAX = 2_000  # characters of one setting
Drawing = Callable[[Any], Any]
ANSWER: tuple[Drawing, ...] = (charts.serving_curve,)
SPREAD: tuple[Drawing, ...] = (
    charts.latency_ecdf,
    lambda run: charts.latency_ecdf(run, "e2e_s"),
    charts.latency_histogram,
)
ENDS: tuple[Drawing, ...] = (charts.outcome_bars, charts.error_shares)
MORE: tuple[Drawing, ...] = (
    charts.inter_token,
    charts.itl_course,
    charts.ttft_by_input,
    charts.activity,
    charts.token_ledger,
    charts.waterfall,
)
CHARTS = (*ANSWER, *SPREAD, *ENDS, *MORE)


@overload
def report(run: Given | Compared, path: Path) -> Path: ...
@overload
def report(run: Given | Compared, path: str | Storage) -> Path | Storage: ...
def report(run: Given | Compared, path: Place) -> Path | Storage:
    """Write the report of a run or of a comparison, and return where it is.

    Parameters
    ----------
    run : a Run, the folder of a saved one, or what `compare` or `compare_endpoints` gives.
    path : `.html` (one file that opens offline, under 3 MB), `.xlsx` (of a run the sheets Overview, Summary, Metrics, Requests,
        Fates, Findings, Tokens, Config; of a comparison Overview and its frames) or `.csv` (the requests of a run, one row each, no
        text that a spreadsheet takes for a formula). No secret is in any. An existing file is replaced as a whole. It may be in a
        bucket: `s3://bucket/reports/first.html`.

    Raises
    ------
    ConfigError : `run` is none of these, or the suffix is another.
    StoreError : the file cannot be written.
    """
    target = as_place(path, "report")
    suffix = Path(target.name).suffix.lower()
    if suffix not in MAKERS:
        raise ConfigError(f"report: {target.name!r} should end in {', '.join(MAKERS)}")
    of_run, of_comparison = MAKERS[suffix]
    content = of_comparison(run) if isinstance(run, Compared) else of_run(as_run(run, "report"))
    if isinstance(target, Storage):
        write_document(target, content)
    else:
        _write(target, content)
    return target


def _write(target: Path, content: bytes) -> None:
    part = target.with_name(f".{uuid.uuid4().hex}.part")  # beside it: a rename is whole only within one file system
    try:
        part.write_bytes(content)
        part.replace(target)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(
            f"the report cannot be written to {target}: {why}; give a file in a folder that exists and can be written"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def page(run: RunData) -> bytes:
    """The report as one HTML document in UTF-8."""
    about = figures.metadata(run)
    title = f"{_endpoint(about).get('model') or 'A run'}, measured with basetenkit"
    draw = _Drawer(run)
    answer, appendix = list(_answer(run, about, draw)), list(_appendix(run, about, draw))
    return document(title, _head(run, about), verdict(run).markup, answer, appendix)


def _answer(run: RunData, about: Mapping[str, Any], draw: _Drawer) -> Iterator[Section]:
    """The most important sections."""
    limits = ", ".join(f"{name} {limit:g}" for name, limit in run.config.slo.items())
    words = "95% intervals in brackets; (≥ ...) if there are too few requests for an upper bound."
    words += f" SLO: {limits}; met if at least 99% of requests are within it." if limits else ""
    yield Section("Levels", words, answer_table(run), draw.all(ANSWER))
    if run.config.price is not None:
        yield Section("Costs", "95% intervals in brackets.", costs(run))
    yield Section("How latencies are distributed", pictures=draw.all(SPREAD))
    fates = figures.fates(run)
    ended = [name for name in fates.columns if name in (*LEVEL, "planned", "sent", "ok") or fates[name].sum()]
    failed = any(level.failed for level in verdict(run).evidence)
    table = html_table(fates.select(ended).to_dicts())
    yield Section("Outcomes of the requests", "", table, draw.all(ENDS if failed else ENDS[:1]))
    found = figures.findings(run)
    yield Section(
        "What to know before reading the figures", "" if found else "Nothing was found.", found.table if found else None
    )
    yield Section("How it was measured", clock_words(about), html_table(list(_measured(run, about))))


def _measured(run: RunData, about: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The most important settings."""
    config, machine = run.config, about.get("machine") or {}
    told = {
        "endpoint": _endpoint(about).get("url"),
        "scenarios": ", ".join(config.scenarios),
        "requests per level": str(config.max_requests),
        "streamed": "yes" if config.endpoint.stream else "no",
        "measured window": about.get("window"),
        "begun": _date(about.get("started_at")),
        "ended": _date(about.get("ended_at")),
        "measured from": f"{machine['system']}, {machine['cpus']} processor cores"
        if {"system", "cpus"} <= set(machine)
        else "",
    }
    yield from ({"setting": name, "value": str(value)} for name, value in told.items() if value)


def _appendix(run: RunData, about: Mapping[str, Any], draw: _Drawer) -> Iterator[Section]:
    lacking = workbook.unmeasured(run.requests)
    yield Section("All levels", "", overview(run))
    yield Section("All latencies, ms", "", latencies(run))
    yield Section("All outcomes", "The outcome of every planned request.", html_table(figures.fates(run).to_dicts()))
    yield Section("Tokens", "The same tokens, counted in four ways.", tokens(run))
    failed = any(level.failed for level in verdict(run).evidence)
    yield Section("More charts", pictures=draw.all(MORE if failed else (*ENDS[1:], *MORE)))
    if lacking:
        yield Section("Not measured", f"No row of this run has {', '.join(lacking)}.")
    yield Section("How each level went", "", html_table(_alike(about.get("levels") or [])))
    settings = {k: v for k, v in about.items() if k not in ("levels", "clock")}
    rows = [{"name": name, "value": _short(value, name)} for name, value in workbook.flat(settings)]
    yield Section("Configuration and surroundings", "Without secrets.", html_table(rows))


def clock_words(about: Mapping[str, Any]) -> str:
    """The clock's proven error in words: median and 99th percentile of each latency's bound over the successful requests in the
    window, and what stamped them."""
    clock = about.get("clock") or {}
    stamped = ", ".join(f"{n} by the {who}" for who, n in (clock.get("requests") or {}).items())
    by = f" Requests timed: {stamped}." if stamped else ""
    told = []
    for name, title in BOUNDED.items():
        middle, most = (clock.get(error_name(name, p)) for p in (50, 99))
        if middle is not None and most is not None:
            told.append(
                f"{title} at most {digits(middle * 1e3)} ms (median), {digits(most * 1e3)} ms (99th percentile)"
            )
    if not told:
        return f"No successful request in the window has a latency whose error is known.{by}"
    return f"How far the clock can be off: {'; '.join(told)}.{by}"


def _head(run: RunData, about: Mapping[str, Any]) -> str:
    when = _date(about.get("started_at")) or "at a time unknown"
    url = _endpoint(about).get("url") or "an endpoint unknown"
    whole = "" if figures.complete(run) else " The run is not complete."
    return f"{run.requests.height:,} requests to {url}, begun {when}.{whole}"


def _date(at: object) -> str:
    """ "2026-11-28 07:26 UTC" of s since 1970; "" if it is not known."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC" if isinstance(at, int | float) else ""


def _endpoint(about: Mapping[str, Any]) -> NewRow:
    return (about.get("config") or {}).get("endpoint") or {}


class _Drawer:
    """Draws charts until the file would be too large: `all` gives their pictures."""

    def __init__(self, run: RunData) -> None:
        self._run, self._used = run, 0

    def all(self, drawings: Sequence[Drawing]) -> list[PagePicture]:
        return [self._one(draw) for draw in drawings]

    def _one(self, draw: Drawing) -> PagePicture:
        drawn = pictured(draw(self._run).to_dict(), PICTURES_MAX - self._used)
        self._used += drawn.size
        return drawn


def _alike(rows: list[Row]) -> list[NewRow]:
    """The same keys in every row: what one level lacks is null there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: _short(row.get(name), name) for name in names} for row in rows]


def _short(value: object, name: str = "") -> Any:
    """A setting as the text of a cell; `name`: its own, by which a date is known."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    if name.endswith("_at") and (date := _date(value)):
        return date
    value = str(value) if isinstance(value, list | dict) else value
    return f"{value[:CELL_MAX]}…" if isinstance(value, str) and len(value) > CELL_MAX else value


# suffix -> (how a run is written, how a comparison is)
MAKERS: dict[str, tuple[Callable[[RunData], bytes], Callable[[Compared], bytes]]] = {
    ".html": (page, comparison_report.page),
    ".xlsx": (workbook.sheets, comparison_report.sheets),
    ".csv": (workbook.comma_separated, comparison_report.no_csv),
}

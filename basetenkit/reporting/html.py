"""A run -> one file for people without a notebook: `.html` to read, `.xlsx` to compute with.

The HTML file is complete and runs no script: the charts are pictures inside it, and its policy forbids scripts and downloads,
so text from a server stays text even if it looks like markup. The file is written completely or not at all.
"""

from __future__ import annotations

import base64
import contextlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..analysis import figures
from ..analysis.clock_error import BOUNDED, error_name
from ..analysis.given import Given, as_run
from ..analysis.verdict import verdict
from ..core.errors import ConfigError, StoreError
from ..core.markup import render
from ..core.tables import Html, digits, html_table
from ..core.types import NewRow, Row
from ..results.run_data import RunData
from ..results.schema import LEVEL
from ..storage.address import Storage, as_place
from . import charts, workbook
from .altair_renderer import describe, picture
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
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --faint: #666; --line: #ccc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181c; --faint: #a0a0a0; --line: #444; }
  img { filter: invert(.91) hue-rotate(180deg); }
}
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; max-width: 70em;
  margin: 2em auto; padding: 0 1em; overflow-wrap: break-word; }
h1, h2 { line-height: 1.2; } h1 { margin-bottom: .3em; } h2 { margin-top: 1.8em; font-size: 1.3em; }
.head, .words { color: var(--faint); }
.bk-verdict { border-left: 4px solid #0072B2; padding-left: .8em; }
figure { margin: 1em 0; } img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
.pictures { display: flex; flex-wrap: wrap; gap: 0 1.5em; }
details { border-top: 1px solid var(--line); margin-top: 2em; padding-top: 1em; }
summary { cursor: pointer; font-size: 1.3em; font-weight: 600; }
@media print {
  body { font-size: 11px; margin: 0; max-width: none; } h2 { margin-top: 1.2em; break-after: avoid; }
  figure, tr { break-inside: avoid; } img { max-height: 9cm; width: auto; filter: none; } .pictures figure { max-width: 47%; }
}
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="head">{{ head }}</p>
{{ verdict }}
{% macro show(section) %}
<section>
<h2>{{ section.title }}</h2>
{% if section.words %}
<p class="words">{{ section.words }}</p>
{% endif %}
{% if section.table is not none %}
{{ section.table }}
{% endif %}
{% if section.pictures %}
<div class="pictures">
{% for picture in section.pictures %}
{% if picture.source %}
<figure><img src="{{ picture.source }}" width="{{ picture.width }}" height="{{ picture.height }}"
 alt="{{ picture.words }}"></figure>
{% else %}
<p>{{ picture.words }} (left out: the file would be too large; draw it with bk.charts)</p>
{% endif %}
{% endfor %}
</div>
{% endif %}
</section>
{% endmacro %}
{% for section in sections %}
{{ show(section) }}
{% endfor %}
<details>
<summary>Appendix: all figures, more charts, the configuration</summary>
{% for section in appendix %}
{{ show(section) }}
{% endfor %}
</details>
</body>
</html>
"""


def report(run: Given, path: str | Path) -> Path:
    """Writes a Run's report and returns its path: `.html` (one file that opens offline, under 3 MB), `.xlsx` (sheets Summary,
    Metrics, Requests, Fates, Findings, Tokens, Config) or `.csv` (one row per request; no text can become a formula in a
    spreadsheet). No report contains a secret. An existing file is replaced.

    ConfigError if `run` is not a Run, or the path has another suffix; StoreError if the file cannot be written.
    """
    target, data = as_place(path, "report"), as_run(run, "report")
    makers = {".html": page, ".xlsx": workbook.sheets, ".csv": workbook.comma_separated}
    make = makers.get(Path(target.name).suffix.lower())
    if make is None:
        raise ConfigError(f"report: {target.name!r} should end in {', '.join(makers)}")
    if isinstance(target, Storage):
        raise ConfigError(f"report: {target} is in a bucket; write the report to a file on this machine")
    _write(target, make(data))
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


@dataclass(frozen=True)
class _Picture:
    """A chart as a data URL; `source` is "" for one that was left out."""

    words: str
    source: str
    width: int
    height: int


@dataclass(frozen=True)
class _Section:
    title: str
    words: str = ""
    table: Html | None = None
    pictures: Sequence[_Picture] = ()


def page(run: RunData) -> bytes:
    """The report as one HTML document in UTF-8."""
    about = figures.metadata(run)
    title = f"{_endpoint(about).get('model') or 'A run'}, measured with basetenkit"
    draw = _Drawer(run)
    parts = {"sections": list(_answer(run, about, draw)), "appendix": list(_appendix(run, about, draw))}
    document = render(_PAGE, title=title, verdict=verdict(run).markup, head=_head(run, about), **parts)
    return document.encode("utf-8", "replace")


def _answer(run: RunData, about: Mapping[str, Any], draw: _Drawer) -> Iterator[_Section]:
    """The most important sections."""
    limits = ", ".join(f"{name} {limit:g}" for name, limit in run.config.slo.items())
    words = "95% intervals in brackets; (≥ ...) if there are too few requests for an upper bound."
    words += f" SLO: {limits}; met if at least 99% of requests are within it." if limits else ""
    yield _Section("Levels", words, answer_table(run), draw.all(ANSWER))
    if run.config.price is not None:
        yield _Section("Costs", "95% intervals in brackets.", costs(run))
    yield _Section("How latencies are distributed", pictures=draw.all(SPREAD))
    fates = figures.fates(run)
    ended = [name for name in fates.columns if name in (*LEVEL, "planned", "sent", "ok") or fates[name].sum()]
    failed = any(level.failed for level in verdict(run).evidence)
    table = html_table(fates.select(ended).to_dicts())
    yield _Section("Outcomes of the requests", "", table, draw.all(ENDS if failed else ENDS[:1]))
    found = figures.findings(run)
    yield _Section(
        "What to know before reading the figures", "" if found else "Nothing was found.", found.table if found else None
    )
    yield _Section("How it was measured", clock_words(about), html_table(list(_measured(run, about))))


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


def _appendix(run: RunData, about: Mapping[str, Any], draw: _Drawer) -> Iterator[_Section]:
    lacking = workbook.unmeasured(run.requests)
    yield _Section("All levels", "", overview(run))
    yield _Section("All latencies, ms", "", latencies(run))
    yield _Section("All outcomes", "The outcome of every planned request.", html_table(figures.fates(run).to_dicts()))
    yield _Section("Tokens", "The same tokens, counted in four ways.", tokens(run))
    failed = any(level.failed for level in verdict(run).evidence)
    yield _Section("More charts", pictures=draw.all(MORE if failed else (*ENDS[1:], *MORE)))
    if lacking:
        yield _Section("Not measured", f"No row of this run has {', '.join(lacking)}.")
    yield _Section("How each level went", "", html_table(_alike(about.get("levels") or [])))
    settings = {k: v for k, v in about.items() if k not in ("levels", "clock")}
    rows = [{"name": name, "value": _short(value, name)} for name, value in workbook.flat(settings)]
    yield _Section("Configuration and surroundings", "Without secrets.", html_table(rows))


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

    def all(self, drawings: Sequence[Drawing]) -> list[_Picture]:
        return [self._one(draw) for draw in drawings]

    def _one(self, draw: Drawing) -> _Picture:
        spec = draw(self._run).to_dict()
        png, width, height = picture(spec)
        fits = self._used + len(png) <= PICTURES_MAX
        self._used += len(png) if fits else 0
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}" if fits else ""
        return _Picture(describe(spec), source, width, height)


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

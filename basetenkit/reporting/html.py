"""A run -> one file for whoever has no notebook at hand: `.html` to read, `.xlsx` to compute with.

The HTML carries all it needs and runs nothing: the charts are pictures inside it, and its own policy forbids scripts and any
fetch, so that a server's text stays text even if it looks like markup. The file is written completely or not at all.
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
from ..config.coercions import as_path
from ..core.errors import ConfigError, StoreError
from ..core.markup import render
from ..core.tables import Html, html_table
from ..core.types import NewRow, Row
from ..results.run_data import RunData
from . import charts, workbook
from .altair_renderer import describe, picture
from .tables import costs, findings_table, overview, tokens

PICTURES_MAX = 2_000_000  # bytes; as base64 a third more, and the file stays below 3 MB
CELL_MAX = 2_000  # characters of one setting
CHARTS: tuple[Callable[[Any], Any], ...] = (
    charts.serving_curve,
    charts.latency_ecdf,
    lambda run: charts.latency_ecdf(run, "e2e_s"),
    charts.latency_histogram,
    charts.inter_token,
    charts.itl_course,
    charts.ttft_by_input,
    charts.activity,
    charts.token_ledger,
    charts.outcome_bars,
    charts.error_shares,
    charts.waterfall,
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #222; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #16181c; } }
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; max-width: 75em;
  margin: 2em auto; padding: 0 1em; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2em; }
figure { margin: 1.5em 0; } img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p>{{ head }}</p>
{% for section in sections %}
<section>
<h2>{{ section.title }}</h2>
{% if section.words %}
<p>{{ section.words }}</p>
{% endif %}
{% if section.table is not none %}
{{ section.table }}
{% endif %}
{% for picture in section.pictures %}
{% if picture.source %}
<figure><img src="{{ picture.source }}" width="{{ picture.width }}" height="{{ picture.height }}"
 alt="{{ picture.words }}"></figure>
{% else %}
<p>{{ picture.words }} (left out: the file would be too large; draw it with bk.charts)</p>
{% endif %}
{% endfor %}
</section>
{% endfor %}
</body>
</html>
"""


def report(run: Given, path: str | Path) -> Path:
    """Writes a Run's report and returns where: `.html` (one file that opens offline, under 3 MB), `.xlsx` (sheets Summary, Metrics,
    Requests, Fates, Findings, Tokens, Config) or `.csv` (the requests, a row each, no text that a spreadsheet takes for a formula).
    No secret is in any. A file that is there already is replaced, whole.

    ConfigError if `run` is not a Run or the suffix is another; StoreError if the file cannot be written.
    """
    target, data = as_path(path, "report"), as_run(run, "report")
    makers = {".html": page, ".xlsx": workbook.sheets, ".csv": workbook.comma_separated}
    make = makers.get(target.suffix.lower())
    if make is None:
        raise ConfigError(f"report: {target.name!r} should end in {', '.join(makers)}")
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
    title = f"basetenkit: {_endpoint(about).get('model') or 'a run'}"
    sections = list(_sections(run, about))
    document = render(_PAGE, title=title, head=_head(run, about), sections=sections)
    return document.encode("utf-8", "replace")


def _sections(run: RunData, about: Mapping[str, Any]) -> Iterator[_Section]:
    lacking = workbook.unmeasured(run.requests)
    yield _Section(
        "Summary",
        f"95% intervals in brackets; ≥ where so few requests give no upper bound. Measured: {about['window']}.",
        overview(run),
    )
    yield _Section("What to know before reading the figures", "", findings_table(run))
    yield _Section("What became of every request planned", "", html_table(figures.fates(run).to_dicts()))
    yield _Section("Tokens", "The same tokens by four accounts.", tokens(run))
    if run.config.price is not None:
        yield _Section("Costs", "95% intervals in brackets.", costs(run))
    yield _Section("Charts", pictures=list(_pictures(run)))
    yield _Section("How wrong the clock can be", clock_words(about))
    if lacking:
        yield _Section("Not measured", f"No row of this run has {', '.join(lacking)}.")
    yield _Section("How each level went", "", html_table(_alike(about.get("levels") or [])))
    settings = {k: v for k, v in about.items() if k not in ("levels", "clock")}
    rows = [{"name": name, "value": _short(value)} for name, value in workbook.flat(settings)]
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
            told.append(f"{title} at most {middle * 1e3:.3f} ms (median), {most * 1e3:.3f} ms (99th percentile)")
    if not told:
        return f"No successful request in the window has a latency whose error is known.{by}"
    return f"How far the clock can be off: {'; '.join(told)}.{by}"


def _head(run: RunData, about: Mapping[str, object]) -> str:
    at = about.get("started_at")
    when = (
        f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC" if isinstance(at, int | float) else "at a time unknown"
    )
    url = _endpoint(about).get("url") or "an endpoint unknown"
    whole = "" if figures.complete(run) else " The run is not complete."
    return f"{run.requests.height:,} requests to {url}, begun {when}.{whole}"


def _endpoint(about: Mapping[str, Any]) -> NewRow:
    return (about.get("config") or {}).get("endpoint") or {}


def _pictures(run: RunData) -> Iterator[_Picture]:
    used = 0
    for draw in CHARTS:
        spec = draw(run).to_dict()
        png, width, height = picture(spec)
        fits = used + len(png) <= PICTURES_MAX
        used += len(png) if fits else 0
        source = f"data:image/png;base64,{base64.b64encode(png).decode()}" if fits else ""
        yield _Picture(describe(spec), source, width, height)


def _alike(rows: list[Row]) -> list[NewRow]:
    """The same keys in every row: what one level lacks is null there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: _short(row.get(name)) for name in names} for row in rows]


def _short(value: object) -> Any:
    value = str(value) if isinstance(value, list | dict) else value
    return f"{value[:CELL_MAX]}…" if isinstance(value, str) and len(value) > CELL_MAX else value

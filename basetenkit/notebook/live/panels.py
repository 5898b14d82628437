"""The live view of a run, as HTML made of plain values: levels, counts, percentiles, tokens per second.

Pure functions, so that the view can be tested without a widget. Each figure is the summary's own, by its own
definition; here it is only written down. Text from a server is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core.markup import render
from ...core.progress import duration
from ...core.tables import interval, show

LATENCIES = (("ttft_s", "TTFT"), ("tpot_s", "TPOT"), ("e2e_s", "E2E"))
_PERCENTILES = ("p50", "p90", "p99")
_BINS = 28
_HEADS = ("level", "", "requests", "requests/s", "left", "TTFT p50", "TPOT p50", "output tok/s", "input tok/s")
_LEVELS = """
<div class="bk-scroll"><table>
<thead><tr>{% for head in heads %}
<th scope="col" style="text-align:{{ "left" if loop.index <= 2 else "right" }}">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for level, share, cells in levels %}
<tr class="bk-{{ level.state | replace(" ", "-") }}"><td>{{ level.name }}</td>
<td><span class="bk-track" role="progressbar" aria-label="{{ level.name }}" aria-valuemin="0" aria-valuemax="{{ level.planned }}"
 aria-valuenow="{{ level.finished }}"><span class="bk-filled" style="width:{{ "%.1f" % share }}%"></span></span></td>
{% for cell in cells %}<td class="bk-number">{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table></div>"""
_COUNTS = """
<div class="bk-tiles">{% for name, value in tiles %}<div><b>{{ value }}</b><span>{{ name }}</span></div>{% endfor %}</div>
{% if error %}<div class="bk-wrong">last error: {{ error }}</div>{% endif %}"""
_TIMES = """
<div class="bk-caption">{{ level }}: the good requests so far, with 95% intervals</div>
<div class="bk-scroll"><table>
<thead><tr><th></th>{% for p in heads %}<th scope="col" class="bk-number">{{ p }}, ms</th>{% endfor %}
<th scope="col" style="text-align:left">distribution</th></tr></thead>
<tbody>
{% for title, cells, drawn in rows %}
<tr><th scope="row" style="text-align:left">{{ title }}</th>
{% for cell in cells %}<td class="bk-number">{{ cell }}</td>{% endfor %}<td>{{ drawn }}</td></tr>
{% endfor %}
</tbody>
</table></div>"""
_HISTOGRAM = """
<svg role="img" aria-label="histogram from {{ said }}" width="{{ width }}" height="23"><title>{{ said }}</title><g class="bk-bars">
{%- for i, height in heights -%}
<rect x="{{ 5 * i }}" y="{{ "%.1f" % (22 - height) }}" width="4" height="{{ "%.1f" % height }}"/>
{%- endfor -%}
</g><line class="bk-base" x1="0" x2="{{ width }}" y1="22.5" y2="22.5"/></svg>
<div class="bk-caption" style="display: flex; justify-content: space-between; width: {{ width }}px"><span>{{ ends[0] }}</span>
<span>{{ ends[1] }}</span></div>"""
_LINE = """
<div class="bk-caption">{{ said }}</div>
<svg role="img" aria-label="{{ said }}" viewBox="0 0 {{ width }} {{ height }}" preserveAspectRatio="none"
 style="width:min(720px,100%);height:{{ height }}px"><polyline class="bk-line" points="{{ points }}"/>
<line class="bk-base" x1="0" x2="{{ width }}" y1="{{ height }}" y2="{{ height }}"/></svg>"""


@dataclass
class LevelState:
    """One level: how far it is, and the figures of its rows so far. `state`: 'waits', 'now', 'done' or 'ended early'."""

    name: str
    planned: int
    state: str = "waits"
    finished: int = 0
    seconds: float = 0.0
    left_s: float | None = None
    figures: Mapping[str, float | None] = field(default_factory=dict)
    values: Mapping[str, ArrayLike] = field(default_factory=dict)


def levels_table(levels: Sequence[LevelState]) -> str:
    """A row per level: bar, requests, rate, time left, what its rows say of latency and throughput, and with an SLO the share of
    requests that were within it so far."""
    slo = any(level.figures.get("goodput") is not None for level in levels)
    rows = [(level, _share(level), _cells(level) + ([_kept(level)] if slo else [])) for level in levels]
    return render(_LEVELS, heads=[*_HEADS, *(["within the SLO, %"] if slo else [])], levels=rows)


def _kept(level: LevelState) -> str:
    value, low, high = (level.figures.get(f"goodput{end}") for end in ("", "_low", "_high"))
    return interval(value, low, high, 1e2)


def _share(level: LevelState) -> float:
    return 100 * min(level.finished / max(level.planned, 1), 1)


def _cells(level: LevelState) -> list[str]:
    rate = level.finished / level.seconds if level.finished and level.seconds > 0 else None
    now = duration(level.left_s) if level.state == "now" else level.state
    figures = level.figures
    return [
        f"{show(level.finished)} of {show(level.planned)}",
        "–" if rate is None else f"{rate:.1f}",
        now,
        *(ms(figures.get(f"{name}_p50")) for name in ("ttft_s", "tpot_s")),
        *(show(_whole(figures.get(f"{name}_tokens_per_s"))) for name in ("output", "input")),
    ]


def counts(
    progress: Mapping[str, Any],
    over: bool,
    remaining_s: float | None,
    run_s: float | None = None,
    usd: float | None = None,
) -> str:
    """The present level in large figures: time left until all is `over`, in flight, sent, and each outcome; US dollars of the run
    so far, if it has a price; then the last error in words."""
    tiles = [] if over else [("left at most in this level", duration(remaining_s))]
    tiles += [] if over or run_s is None else [("left in the run, about", duration(run_s))]
    tiles += [("in flight", show(progress["in_flight"]))]
    tiles += [("sent", show(progress["sent"])), *((str(k).replace("_", " "), show(n)) for k, n in _outcomes(progress))]
    tiles += [] if usd is None else [("US dollars so far", show(usd))]
    failed = {outcome for outcome, n in progress["outcomes"].items() if n and outcome != "ok"}
    error = None if failed == {"cancelled"} else progress["last_error"]  # a stop is not an error
    return render(_COUNTS, tiles=tiles, error=error)


def _outcomes(progress: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [("ok", progress["outcomes"].get("ok", 0)), *((k, n) for k, n in progress["outcomes"].items() if k != "ok")]


def percentiles(level: LevelState) -> str:
    """TTFT, TPOT and E2E of a level with their 95% intervals, in ms, each with its histogram; "" where there are none yet."""
    rows = []
    for name, title in LATENCIES:
        values = np.asarray(level.values.get(name, ()), float)
        if len(values):
            rows.append((title, [_with_bounds(level.figures, name, p) for p in _PERCENTILES], histogram(values)))
    return render(_TIMES, level=level.name, heads=_PERCENTILES, rows=rows) if rows else ""


def _with_bounds(figures: Mapping[str, float | None], name: str, p: str) -> str:
    value, low, high = (figures.get(f"{name}_{p}{end}") for end in ("", "_low", "_high"))
    return interval(value, low, high, 1e3)


def histogram(values: ArrayLike) -> str:
    """Values in s as bars between their least and their greatest, as an inline SVG."""
    counted, edges = np.histogram(values, bins=_BINS)
    top, ends = max(int(counted.max()), 1), (ms(float(edges[0])), ms(float(edges[-1])))
    heights = [(i, 20 * n / top) for i, n in enumerate(counted.tolist()) if n]
    return render(_HISTOGRAM, said=" to ".join(ends), ends=ends, width=5 * _BINS, heights=heights)


def sparkline(readings: Sequence[tuple[float, float]]) -> str:
    """(time in s, output tokens per second) as an inline SVG; nothing if there are fewer than two points, or no tokens."""
    top = max((rate for _, rate in readings), default=0.0)
    if len(readings) < 2 or top <= 0:
        return ""
    (first, _), (last, now) = readings[0], readings[-1]
    width, height = 480, 60
    points = " ".join(
        f"{width * (at - first) / (last - first):.0f},{height - r / top * (height - 4):.1f}" for at, r in readings
    )
    over = duration(last - first)
    said = f"output tokens per second in the last {over}, counted when requests end: {now:,.0f} now, {top:,.0f} at most"
    return render(_LINE, said=said, width=width, height=height, points=points)


def ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:,.1f} ms"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)

"""What a run shows of itself while it goes on, as HTML made of plain values: levels, counts, percentiles, tokens a second.

Pure functions, so that what stands there can be tested without a widget. Each figure is the summary's own, by its own
definition; here it is only written down. Text from a server is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.tables import interval, show

LATENCIES = (("ttft_s", "TTFT"), ("tpot_s", "TPOT"), ("e2e_s", "E2E"))
_PERCENTILES = ("p50", "p90", "p99")
_BINS = 28


@dataclass
class LevelState:
    """One level: how far it is, and the figures of its rows so far. `state`: 'waits', 'now', 'done' or 'ended early'."""

    name: str
    planned: int
    state: str = "waits"
    finished: int = 0
    seconds: float = 0.0
    left_s: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


def left_s(progress: Mapping[str, Any], max_seconds: float) -> float | None:
    """Seconds to the end of the present level at its rate so far, and at most to its limit; None before anything finished."""
    finished, seconds = int(progress["finished"]), float(progress["seconds"])
    if not finished or seconds <= 0:
        return None
    at_this_rate = max(int(progress["planned"]) - finished, 0) * seconds / finished
    return max(0.0, min(at_this_rate, max_seconds - seconds))


def duration(seconds: float | None) -> str:
    """ "8 s", "2 min 5 s", "1 h 3 min"; an en dash where it is not known."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def levels_table(levels: Sequence[LevelState]) -> str:
    """A row a level: bar, requests, rate, time left, and what its rows say of latency and throughput."""
    heads = ["level", "", "requests", "requests/s", "left", "TTFT p50", "TPOT p50", "output tok/s", "input tok/s"]
    head = "".join(
        f'<th scope="col" style="text-align:{"left" if i < 2 else "right"}">{h}</th>' for i, h in enumerate(heads)
    )
    return f'<div class="bk-scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(map(_row, levels))}</tbody></table></div>'


def _row(level: LevelState) -> str:
    rate = level.finished / level.seconds if level.finished and level.seconds > 0 else None
    now = duration(level.left_s) if level.state == "now" else level.state
    figures = level.figures
    cells = [
        f"{show(level.finished)} of {show(level.planned)}",
        "–" if rate is None else f"{rate:.1f}",
        now,
        *(ms(figures.get(f"{name}_p50")) for name in ("ttft_s", "tpot_s")),
        *(show(_whole(figures.get(f"{name}_tokens_per_s"))) for name in ("output", "input")),
    ]
    numbers = "".join(f'<td class="bk-number">{cell}</td>' for cell in cells)
    name = html.escape(level.name)
    return f'<tr class="bk-{level.state.replace(" ", "-")}"><td>{name}</td><td>{_bar(level, name)}</td>{numbers}</tr>'


def _bar(level: LevelState, name: str) -> str:
    share = 100 * min(level.finished / max(level.planned, 1), 1)
    return (
        f'<span class="bk-track" role="progressbar" aria-label="{name}" aria-valuemin="0" aria-valuemax="{level.planned}" '
        f'aria-valuenow="{level.finished}"><span class="bk-filled" style="width:{share:.1f}%"></span></span>'
    )


def counts(progress: Mapping[str, Any], over: bool, remaining_s: float | None) -> str:
    """The present level in large figures: time left until all is `over`, in flight, sent, and each outcome; then the last
    error in words."""
    tiles = [] if over else [("left at most in this level", duration(remaining_s))]
    tiles += [("in flight", show(progress["in_flight"]))]
    tiles += [("sent", show(progress["sent"])), *((str(k).replace("_", " "), show(n)) for k, n in _outcomes(progress))]
    drawn = "".join(f"<div><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>" for name, value in tiles)
    error = progress["last_error"]
    said = f'<div class="bk-wrong">last error: {html.escape(str(error))}</div>' if error else ""
    return f'<div class="bk-tiles">{drawn}</div>{said}'


def _outcomes(progress: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [("ok", progress["outcomes"].get("ok", 0)), *((k, n) for k, n in progress["outcomes"].items() if k != "ok")]


def percentiles(level: LevelState) -> str:
    """TTFT, TPOT and E2E of a level with their 95% intervals, in ms, each with its histogram; "" where there are none yet."""
    rows = []
    for name, title in LATENCIES:
        values = np.asarray(level.values.get(name, ()), float)
        if len(values):
            cells = "".join(f'<td class="bk-number">{_with_bounds(level.figures, name, p)}</td>' for p in _PERCENTILES)
            rows.append(
                f"<tr><th scope='row' style='text-align:left'>{title}</th>{cells}<td>{histogram(values)}</td></tr>"
            )
    if not rows:
        return ""
    heads = "".join(f'<th scope="col" class="bk-number">{p}, ms</th>' for p in _PERCENTILES)
    caption = f"{html.escape(level.name)}: the good requests so far, with 95% intervals"
    head = f"<thead><tr><th></th>{heads}<th scope='col' style='text-align:left'>distribution</th></tr></thead>"
    body = f"<tbody>{''.join(rows)}</tbody>"
    return f'<div class="bk-caption">{caption}</div><div class="bk-scroll"><table>{head}{body}</table></div>'


def _with_bounds(figures: Mapping[str, Any], name: str, p: str) -> str:
    value, low, high = (figures.get(f"{name}_{p}{end}") for end in ("", "_low", "_high"))
    return html.escape(interval(value, low, high, 1e3))


def histogram(values: Any) -> str:
    """Values in s as bars between their least and their greatest, as an inline SVG."""
    counted, edges = np.histogram(values, bins=_BINS)
    top, said = max(int(counted.max()), 1), f"{ms(float(edges[0]))} to {ms(float(edges[-1]))}"
    bars = "".join(
        f'<rect x="{5 * i}" y="{22 - 20 * n / top:.1f}" width="4" height="{20 * n / top:.1f}"/>'
        for i, n in enumerate(counted.tolist())
        if n
    )
    return (
        f'<svg role="img" aria-label="histogram from {said}" width="{5 * _BINS}" height="23"><title>{said}</title>'
        f'<g class="bk-bars">{bars}</g><line class="bk-base" x1="0" x2="{5 * _BINS}" y1="22.5" y2="22.5"/></svg>'
    )


def sparkline(readings: Sequence[tuple[float, float]]) -> str:
    """(when in s, output tokens a second) as an inline SVG; nothing where there are fewer than two, or no tokens."""
    top = max((rate for _, rate in readings), default=0.0)
    if len(readings) < 2 or top <= 0:
        return ""
    (first, _), (last, now) = readings[0], readings[-1]
    width, height = 480, 60
    points = " ".join(
        f"{width * (at - first) / (last - first):.0f},{height - r / top * (height - 4):.1f}" for at, r in readings
    )
    over = duration(last - first)
    said = f"output tokens a second in the last {over}, counted as requests end: {now:,.0f} now, {top:,.0f} at most"
    return (
        f'<div class="bk-caption">{said}</div><svg role="img" aria-label="{said}" viewBox="0 0 {width} {height}" '
        f'preserveAspectRatio="none" style="width:min(720px,100%);height:{height}px"><polyline class="bk-line" points="{points}"/>'
        f'<line class="bk-base" x1="0" x2="{width}" y1="{height}" y2="{height}"/></svg>'
    )


def ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:,.1f} ms"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)

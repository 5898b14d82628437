"""A run as it goes on, in a cell: bar, rate and ETA, outcomes, percentiles, tokens a second, the last error in words.

Counts are read twice a second and cost nothing; percentiles need the rows so far, so they are made on another thread, and
less often as the rows become many: after each reading it rests fifty times the CPU time that the thread took.
Text from a server is escaped.
"""

from __future__ import annotations

import asyncio
import html
import time
from typing import Any

import ipywidgets as w

from ..display import show
from ..runs import LiveRun

EVERY_S, LEAST_ROWS_S, REST = 0.5, 1.0, 50
_POINTS = 60


class LiveView(w.VBox):  # type: ignore[misc]
    """Follows one LiveRun at a time: `await view.follow(live)` returns when the run is over."""

    def __init__(self) -> None:
        self.bar = w.IntProgress(0, 0, 1, layout=w.Layout(width="min(520px, 100%)"))
        self.bar.add_class("bk-progress")
        self.words, self.times, self.chart = w.HTML(), w.HTML(), w.HTML()
        self._rates: list[float] = []
        super().__init__([self.bar, self.words, self.times, self.chart])

    async def follow(self, live: LiveRun) -> None:
        self._rates, self.times.value, self.chart.value = [], "", ""
        rows = asyncio.ensure_future(self._follow_rows(live))
        try:
            while not live.done:
                self.show(live.progress)
                await asyncio.sleep(EVERY_S)
            self.show(live.progress)
        finally:
            rows.cancel()
        await asyncio.to_thread(self._read_rows, live)
        self._draw_rows(live)

    async def _follow_rows(self, live: LiveRun) -> None:
        before, at = 0, time.monotonic()
        while not live.done:
            await asyncio.sleep(LEAST_ROWS_S)
            began = time.thread_time()
            tokens = await asyncio.to_thread(self._read_rows, live)
            now = time.monotonic()
            self._rates = [*self._rates, max(0.0, tokens - before) / (now - at)][-_POINTS:]
            before, at = tokens, now
            self._draw_rows(live)
            await asyncio.sleep(REST * self._cost + (time.thread_time() - began))

    def _read_rows(self, live: LiveRun) -> int:
        """Reads the rows so far and gives their output tokens; on a thread that is not the loop's."""
        began = time.thread_time()
        frame = live.requests
        good = frame.filter(frame["outcome"] == "ok")
        cells = []
        for name, title in (("ttft_s", "TTFT"), ("tpot_s", "TPOT")):
            values = [good[name].quantile(q) for q in (0.5, 0.9, 0.99)]
            cells.append(f"{title} p50 / p90 / p99: " + " / ".join(_ms(v) for v in values))
        self._said = " &nbsp; ".join(cells)
        self._cost = time.thread_time() - began
        return int(good["output_tokens"].sum() or 0)

    def _draw_rows(self, live: LiveRun) -> None:
        self.times.value = self._said
        self.chart.value = sparkline(self._rates)

    def show(self, progress: dict[str, Any]) -> None:
        """Shows the counts of `LiveRun.progress`."""
        planned, finished, seconds = progress["planned"], progress["finished"], progress["seconds"]
        self.bar.max, self.bar.value = max(planned, 1), min(finished, max(planned, 1))
        rate = finished / seconds if finished and seconds > 0 else None
        parts = [f"level {min(progress['levels_done'] + 1, progress['levels'])} of {progress['levels']}"]
        parts += [str(progress["level"]), f"{show(finished)} of {show(planned)} requests"]
        if rate is not None:
            parts.append(f"{rate:.1f}/s")
            if progress["in_flight"]:
                parts.append(f"{max(planned - finished, 0) / rate:.0f} s to go")
        parts += [f"{show(progress['in_flight'])} in flight"]
        parts += [f"{show(n)} {name}" for name, n in progress["outcomes"].items()]
        text = html.escape(", ".join(parts))
        if progress["last_error"]:
            text += f"<br>last error: {html.escape(str(progress['last_error']))}"
        self.words.value = text


def _ms(seconds: Any) -> str:
    return "–" if seconds is None else f"{seconds * 1e3:,.1f} ms"


def sparkline(rates: list[float]) -> str:
    """Tokens a second over the reads so far, as an inline SVG; nothing where there are fewer than two."""
    if len(rates) < 2 or max(rates) <= 0:
        return ""
    top, width, height = max(rates), 480, 60
    step = width / (len(rates) - 1)
    points = " ".join(f"{i * step:.0f},{height - r / top * (height - 4):.1f}" for i, r in enumerate(rates))
    said = f"output tokens a second: {rates[-1]:,.0f} now, {top:,.0f} at most"
    return (
        f'<div>{said}</div><svg role="img" aria-label="{said}" viewBox="0 0 {width} {height}" style="width:min(520px,100%)">'
        f'<polyline points="{points}" fill="none" stroke="var(--jp-brand-color1, #0072B2)" stroke-width="2"/></svg>'
    )

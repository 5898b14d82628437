"""The live view of a run in a cell: one bar per level with rate and time left, requests by outcome, percentiles with
histograms, tokens per second, and the last error.

Counts are read every half second and cost almost nothing. Figures need the rows so far, so another thread computes them, and less
often as the number of rows grows: after each reading it waits a hundred times the CPU time that the thread took.
"""

from __future__ import annotations

import asyncio
import time
from importlib import resources

import ipywidgets as w
import polars as pl

from ...analysis.cost import spent
from ...analysis.summary import summarise
from ...config.plan import PlannedLevel, levels_of
from ...core.progress import left_s
from ...session import LiveRun
from .panels import LATENCIES, LevelState, counts, levels_table, percentiles, sparkline

EVERY_S, LEAST_ROWS_S, REST = 0.5, 1.0, 100
PLANNED = ("warmup", "measured")  # the phases that a level's number of requests counts
_POINTS, _SMOOTH = 120, 4


def style() -> object:
    """The stylesheet of form and live view, as a widget that takes no room."""
    css = resources.files("basetenkit.notebook").joinpath("form.css").read_text()
    return w.HTML(f"<style>{css}</style>", layout=w.Layout(display="none"))


class LiveView(w.VBox):  # type: ignore[misc]
    """Follows one LiveRun at a time: `await view.follow(live)` returns when the run is over. `spent_s`: the CPU time, s, that
    its readings of rows took on their thread."""

    def __init__(self) -> None:
        self.levels, self.counts, self.times, self.chart = w.HTML(), w.HTML(), w.HTML(), w.HTML()
        self.spent_s = 0.0
        self._slo: dict[str, float] = {}
        self._states: dict[PlannedLevel, LevelState] = {}
        self._final: set[PlannedLevel] = set()
        self._tokens: list[tuple[float, int]] = []
        self._rates: list[tuple[float, float]] = []
        self._usd: float | None = None
        super().__init__([style(), self.levels, self.counts, self.times, self.chart], layout=w.Layout(width="100%"))
        self.add_class("bk-live")

    def __repr__(self) -> str:
        said = [f"{s.name}: {s.finished} of {s.planned} requests, {s.state}" for s in self._states.values()]
        return f"<LiveView: {'; '.join(said) or 'follows no run yet'}>"

    async def follow(self, live: LiveRun) -> None:
        before, self._slo = live.config.warmup_requests, live.config.slo
        self._states = {
            level: LevelState(str(level), live.config.requests_of(level.load) + before)
            for level in levels_of(live.config)
        }
        self._final, self._tokens, self._rates, self._usd = set(), [], [], None
        self.times.value = self.chart.value = ""
        rows = asyncio.ensure_future(self._follow_rows(live))
        try:
            while not live.done:
                self.show(live)
                await asyncio.sleep(EVERY_S)
        finally:
            rows.cancel()
        await asyncio.to_thread(self._read_rows, live)
        self.show(live)
        self._draw_rows(live.progress)

    async def _follow_rows(self, live: LiveRun) -> None:
        while not live.done:
            await asyncio.sleep(LEAST_ROWS_S)
            before = self.spent_s
            await asyncio.to_thread(self._read_rows, live)
            self._draw_rows(live.progress)
            await asyncio.sleep(REST * (self.spent_s - before))

    def _read_rows(self, live: LiveRun) -> None:
        """Makes the figures of the levels that are not final; on a thread that is not the loop's."""
        began, present, over = time.thread_time(), live.progress["level"], live.done
        names = [state.name for state in self._states.values()]  # the final states are read before the rows
        past = names if over else names[: names.index(present)] if present in names else []
        wanted = [key for key in self._states if key not in self._final]
        frame = live.requests_without_text
        for key in wanted:
            rows = _rows_of(frame, key)
            if rows.height:
                self._take(self._states[key], rows)
                if self._states[key].name in past:
                    self._final.add(key)
        if (price := live.config.price) is not None:
            self._usd = spent(frame, [state.seconds for state in self._states.values() if state.seconds], price)
        self.spent_s += time.thread_time() - began

    def _take(self, state: LevelState, rows: pl.DataFrame) -> None:
        good = rows.filter(pl.col("in_window") & (pl.col("outcome") == "ok"))
        state.figures = summarise(rows, slo=self._slo, controlled=False).row(0, named=True)
        state.values = {name: good[name].drop_nulls().to_numpy() for name, _ in LATENCIES}
        planned = rows.filter(pl.col("phase").is_in(PLANNED))
        state.finished = planned.height
        state.seconds = float(planned["end_s"].max() or 0)  # type: ignore[arg-type]

    def _draw_rows(self, progress: dict[str, object]) -> None:
        self.times.value = next((percentiles(s) for s in self._states.values() if s.name == progress["level"]), "")

    def show(self, live: LiveRun) -> None:
        """Shows where the run is: three messages at most."""
        progress, left = live.progress, None
        present = next((s for s in self._states.values() if s.name == progress["level"]), None)
        if present is not None:
            left = left_s(progress, live.config.max_seconds)
            present.finished, present.seconds, present.left_s = progress["finished"], progress["seconds"], left
            self._place(present, live.done)
        self._sample(time.monotonic(), progress["output_tokens"])
        self.levels.value = levels_table(list(self._states.values()))
        self.counts.value = counts(
            progress, live.done, left, self._run_left(left, progress, live.config.max_seconds), self._usd
        )
        self.chart.value = sparkline(self._rates)

    def _run_left(self, level_s: float | None, progress: dict[str, object], most_s: float) -> float | None:
        """Seconds to the end of the run if the levels that wait go at the present one's rate, `most_s` each at most."""
        finished, seconds = float(str(progress["finished"])), float(str(progress["seconds"]))
        if level_s is None or not finished:
            return None
        waiting = [state.planned for state in self._states.values() if state.state == "waits"]
        return level_s + sum(min(n * seconds / finished, most_s) for n in waiting)

    def _place(self, present: LevelState, over: bool) -> None:
        """Levels before the current one are done; at the end, a level that is not full was stopped or ran out of time."""
        states = list(self._states.values())
        for state in states[: states.index(present)]:
            state.state = "done"
        whole = present.finished >= present.planned
        present.state = ("done" if whole else "ended early") if over else "now"

    def _sample(self, at: float, tokens: int) -> None:
        """Tokens a second over the last readings: they are counted as requests end, so that shorter stretches would jump."""
        if self._tokens and tokens < self._tokens[-1][1]:
            self._tokens = []  # a new level counts from none
        self._tokens = [*self._tokens, (at, tokens)][-_SMOOTH - 1 :]
        since, before = self._tokens[0]
        if at > since:
            self._rates = [*self._rates, (at, (tokens - before) / (at - since))][-_POINTS:]


def _rows_of(frame: pl.DataFrame, level: PlannedLevel) -> pl.DataFrame:
    return frame.filter(pl.all_horizontal(pl.col(name) == value for name, value in level.columns.items()))

"""The screen during a run in a terminal: requests sent, the time left, and the latencies so far."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import polars as pl
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..config.plan import levels_of
from ..core.progress import duration, left_s, plain
from ..core.tables import digits
from ..core.types import JsonObject

if TYPE_CHECKING:
    from ..session import LiveRun

_SHOWN = (("TTFT", "ttft_s"), ("TPOT", "tpot_s"), ("E2E", "e2e_s"))
REST = 100  # after a look at the rows it rests so many times the CPU time that the look took
FIRST_LOOK_S = 1.0


class Screen:
    """Shows a LiveRun on standard error while it goes on, and leaves nothing behind. Nothing is shown if standard error is not a
    terminal or `hidden` is set."""

    def __init__(self, live: LiveRun, *, hidden: bool = False, console: Console | None = None) -> None:
        self._live, self._next = live, time.monotonic() + FIRST_LOOK_S
        self._console = console or Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._hidden = hidden or not (self._console.is_terminal if console else sys.stderr.isatty())
        self._latencies: list[tuple[str, ...]] = []
        self._planned = [live.config.requests_of(level.load) for level in levels_of(live.config)]
        self._drawn = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        if not self._hidden:
            self._drawn.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._hidden:
            self._drawn.stop()

    def show(self) -> None:
        """Draw the run as it is now; call it several times per second."""
        if self._hidden:
            return
        if time.monotonic() >= self._next and not self._live.done:
            began = time.thread_time()
            self._look()
            self._next = time.monotonic() + max(FIRST_LOOK_S, REST * (time.thread_time() - began))
        self._drawn.update(self._drawing(self._live.progress), refresh=True)

    def _look(self) -> None:
        """TTFT and TPOT of the present level's successes so far."""
        rows = self._live.requests_without_text
        good = rows.filter((pl.col("outcome") == "ok") & (pl.col("phase") == "measured"))
        key = ["scenario", "load", "level", "repeat"]
        good = good.join(good.tail(1).select(key), on=key, how="semi") if good.height else good
        found = [(title, good[name].drop_nulls() * 1e3) for title, name in _SHOWN]
        self._latencies = [(title, *(_at(x, p) for p in (0.5, 0.99))) for title, x in found if x.len()]

    def _drawing(self, progress: JsonObject) -> Group:
        if not progress["level"]:
            return Group(Text("one request first: does the endpoint answer?"))
        finished, planned = int(progress["finished"]), max(int(progress["planned"]), 1)
        ok, seconds = progress["outcomes"].get("ok", 0), float(progress["seconds"])
        which = min(progress["levels_done"] + 1, progress["levels"])
        bar = Table.grid(padding=(0, 1))
        share = Text(f"{finished:,} of {planned:,} requests, about {duration(self._left(progress))} left")
        bar.add_row(ProgressBar(total=planned, completed=min(finished, planned), width=30), share)
        parts = [f"{progress['in_flight']:,} in flight", f"{ok:,} ok"]
        parts += [f"{n:,} {name}" for name, n in progress["outcomes"].items() if name != "ok" and n]
        parts += [f"{finished / seconds:.1f} requests/s"] if finished and seconds > 0 else []
        lines: list[Text | Table] = [
            Text(f"level {which} of {progress['levels']}: {progress['level']}", style="bold"),
            bar,
        ]
        lines.append(Text(", ".join(parts)))
        if self._latencies:
            lines.append(Text("; ".join(f"{title} p50 {p50} ms, p99 {p99} ms" for title, p50, p99 in self._latencies)))
        if progress["last_error"]:
            lines.append(
                Text(
                    f"last error: {plain(str(progress['last_error']))}", style="red", no_wrap=True, overflow="ellipsis"
                )
            )
        return Group(*lines)

    def _left(self, progress: JsonObject) -> float | None:
        """Seconds to the end of the run, if all levels go at the present one's rate: at most `max_seconds` each."""
        most = self._live.config.max_seconds
        now = left_s(progress, most)
        if now is None:
            return None
        rate = int(progress["finished"]) / float(progress["seconds"])
        return now + sum(min(n / rate, most) for n in self._planned[progress["levels_done"] + 1 :])


def _at(ms: pl.Series, share: float) -> str:
    return digits(float(ms.quantile(share, "higher") or 0.0))

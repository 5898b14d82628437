"""The screen of a search for a capacity on a terminal: its blocks, the interval so far, the rest of the budget."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..studies.capacity_control import SearchControl, SearchProgress

SHOWN = 8  # of the last blocks
PER_SECOND = 4


class CapacityScreen:
    """Shows a search on standard error while it goes on, and leaves nothing behind; nothing is shown if standard error is not a
    terminal or `hidden` is set. The first interrupt stops the search and keeps all; a second one ends the process."""

    def __init__(self, control: SearchControl, *, hidden: bool = False, console: Console | None = None) -> None:
        self._control = control
        console_used = console or Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._hidden = hidden or not (console_used.is_terminal if console else sys.stderr.isatty())
        self._drawn = Live(
            console=console_used, get_renderable=self._now, refresh_per_second=PER_SECOND, transient=True
        )
        self._before: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupted)
        if not self._hidden:
            self._drawn.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._hidden:
            self._drawn.stop()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._control.stopped:
            raise KeyboardInterrupt
        self._control.stop()

    def _now(self) -> Group:
        seen = self._control.progress
        return Group(Text("the search is about to begin")) if seen is None else drawing(seen)


def drawing(seen: SearchProgress) -> Group:
    """A search at one moment, for rich."""
    parts: list[object] = [Text(seen.doing)]
    if seen.planned:
        bar = Table.grid(padding=(0, 1))
        share = Text(f"{seen.sent:,} of {seen.planned:,} requests")
        bar.add_row(ProgressBar(total=seen.planned, completed=min(seen.sent, seen.planned), width=30), share)
        parts.append(bar)
    parts.append(Text(f"capacity: {seen.posterior_text}"))
    spent = f"spent: {seen.requests:,} requests, {seen.seconds / 60:.1f} minutes"
    spent += "" if seen.usd is None else f", {seen.usd:.2f} US dollars"
    parts.append(Text(f"{spent}; {seen.left_text}; Ctrl-C stops and keeps all"))
    blocks = Table("block", "for", seen.unit, "sent", "good", "ended early", box=None)
    for k, record in list(enumerate(seen.records, 1))[-SHOWN:]:
        row = (str(k), record.kind, f"{record.load:.3g}", str(record.sent), f"{record.evidence.share:.1%}")
        blocks.add_row(*row, "yes" if record.abandoned else "")
    return Group(*parts, blocks)  # type: ignore[arg-type]

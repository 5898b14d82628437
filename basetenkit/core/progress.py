"""The progress of a run as one line of text, rewritten in place in a notebook and in a terminal. A pipe gets none of it."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

from .types import JsonObject

EVERY_S = 0.5
BAR = 20  # characters
_CLEARED = "\r\x1b[K"


def progress_text(progress: JsonObject) -> str:
    """One line: level, finished of planned, rate, failures; or `text`, if the caller has words of its own."""
    if "text" in progress:
        return str(progress["text"])
    if not progress["level"]:
        return "the run is about to begin"
    finished, planned, seconds = progress["finished"], progress["planned"], progress["seconds"]
    failed = finished - progress["outcomes"].get("ok", 0)
    parts = [f"{progress['level']}: {finished} of {planned} requests"]
    if finished and seconds > 0:
        parts.append(f"{finished / seconds:.1f}/s")
    if failed:
        parts.append(f"{failed} failed (last: {progress['last_error']})")
    which = min(progress["levels_done"] + 1, progress["levels"])
    return f"level {which} of {progress['levels']}, " + ", ".join(parts)


def left_s(progress: JsonObject, max_seconds: float) -> float | None:
    """Seconds to the end of the present level at its rate so far, and at most to its limit; None before anything finished."""
    finished, seconds = int(progress["finished"]), float(progress["seconds"])
    if not finished or seconds <= 0:
        return None
    at_this_rate = max(int(progress["planned"]) - finished, 0) * seconds / finished
    return max(0.0, min(at_this_rate, max_seconds - seconds))


def duration(seconds: float | None) -> str:
    """ "8 s", "2 min 5 s", "1 h 3 min"; an en dash if it is not known."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def plain(text: str) -> str:
    """The text with each character that would move a terminal's cursor as its code."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


class ProgressLine:
    """Shows `progress_text` at most twice a second. Text from a server is shown as text.

    `kept`: whether the last line stays on a terminal. `hidden`: nothing is shown, for a caller that shows something else.
    """

    def __init__(self, *, kept: bool = True, hidden: bool = False) -> None:
        self._handle: Any = None
        self._shown_at, self._kept = 0.0, kept
        self._notebook = not hidden and _in_notebook()
        self._terminal = not hidden and not self._notebook and sys.stderr.isatty()

    def show(self, progress: JsonObject) -> None:
        if time.monotonic() - self._shown_at >= EVERY_S and progress["level"]:
            self._shown_at = time.monotonic()
            self._write(progress)

    def close(self, progress: JsonObject) -> None:
        """The last word: shown whatever was shown before."""
        if progress["level"]:
            self._write(progress)
        if self._terminal:
            sys.stderr.write("\n" if self._kept else _CLEARED)
            sys.stderr.flush()

    def _write(self, progress: JsonObject) -> None:
        if self._notebook:
            import IPython.display

            display: Any = IPython.display.display

            bundle = {"text/plain": progress_text(progress)}
            if self._handle is None:
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)
        elif self._terminal:
            width = shutil.get_terminal_size().columns - 1  # a line that is broken cannot be rewritten
            text = f"{_bar(progress)} {plain(progress_text(progress))}".replace("\n", " ").replace("\t", " ")
            sys.stderr.write(f"{_CLEARED}{text[:width]}")
            sys.stderr.flush()


def _bar(progress: JsonObject) -> str:
    """How much of the level is over, as a bar of BAR characters."""
    done = round(BAR * min(progress["finished"] / max(progress["planned"], 1), 1))
    return f"[{'#' * done}{'.' * (BAR - done)}]"


def _in_notebook() -> bool:
    """Whether a kernel (not a terminal's IPython) runs this code."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"

"""How far a run is, in one line of text: rewritten in place in a notebook and in a terminal, and a line a level elsewhere
(a log, papermill), where nothing can be rewritten."""

from __future__ import annotations

import sys
import time
from typing import Any

EVERY_S = 0.5


def describe(progress: dict[str, Any]) -> str:
    """One line: level, finished of planned, rate, failures."""
    finished, planned, seconds = progress["finished"], progress["planned"], progress["seconds"]
    failed = finished - progress["outcomes"].get("ok", 0)
    parts = [f"{progress['level']}: {finished} of {planned} requests"]
    if finished and seconds > 0:
        parts.append(f"{finished / seconds:.1f}/s")
    if failed:
        parts.append(f"{failed} failed (last: {progress['last_error']})")
    which = min(progress["levels_done"] + 1, progress["levels"])
    return f"level {which} of {progress['levels']}, " + ", ".join(parts)


class ProgressLine:
    """Shows `describe` at most twice a second. Text from a server is shown as text."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._shown_at, self._level = 0.0, ""
        self._terminal = sys.stderr.isatty()
        self._notebook = _in_notebook()

    def show(self, progress: dict[str, Any]) -> None:
        if not progress["level"] or time.monotonic() - self._shown_at < EVERY_S:
            return
        self._shown_at = time.monotonic()
        self._write(describe(progress))

    def close(self, progress: dict[str, Any]) -> None:
        """The last word: shown whatever was shown before."""
        if progress["level"]:
            self._write(describe(progress))
        if self._terminal and not self._notebook:
            sys.stderr.write("\n")

    def _write(self, text: str) -> None:
        if self._notebook:
            import IPython.display

            display: Any = IPython.display.display

            bundle = {"text/plain": text}
            if self._handle is None:
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)
        elif self._terminal:
            sys.stderr.write(f"\r\x1b[K{text[:160]}")
            sys.stderr.flush()


def _in_notebook() -> bool:
    """Whether a kernel (not a terminal's IPython) runs this code."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"

"""Keeps an interrupt (Ctrl-C) from the work of other threads than the main one.

While threads are inside polars, an interrupt raises KeyboardInterrupt in each of them, and in the main thread, which handles it. A
thread that writes or reads the rows of a run would lose them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
PAUSE_S = 0.01  # polars raises until no thread is inside it


def uninterrupted(work: Callable[P, T]) -> Callable[P, T]:
    """The function; on any but the main thread it is called again if an interrupt ended it. It must be one that can be begun again:
    it changes nothing before its end, or writes the same file once more.

        @uninterrupted
        def read(path): return pl.read_parquet(path)
    """

    @wraps(work)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        while True:
            try:
                return work(*args, **kwargs)
            except KeyboardInterrupt:
                if threading.current_thread() is threading.main_thread():
                    raise
                time.sleep(PAUSE_S)

    return again

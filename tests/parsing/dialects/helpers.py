"""Ask one dialect for what it finds in some objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from basetenkit.parsing.collector import Collector


def read_all(reader: Callable[[dict[str, Any], Collector, int, int], bool], *docs: dict[str, Any]) -> Collector:
    """A Collector after `reader` took all of `docs`, the n-th at bytes 10n to 10n+10."""
    out = Collector(b"")
    for n, doc in enumerate(docs):
        assert reader(doc, out, 10 * n, 10 * n + 10), doc
    return out


def events(out: Collector) -> list[tuple[str, str]]:
    return list(zip(out.texts, out.kinds, strict=True))


def refuses(reader: Callable[[dict[str, Any], Collector, int, int], bool], doc: dict[str, Any]) -> bool:
    """True if the reader gives the object back and leaves no trace of it."""
    out = Collector(b"")
    return not reader(doc, out, 0, 1) and not out.texts and out.usage is None and not out.opened


# Values in places in which a server should have put something else.
ODD: list[Any] = [None, 0, 1.5, "", "x", [], [None], [[]], {}, {"a": 1}, True]

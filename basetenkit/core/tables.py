"""Tables that a person reads, as HTML and as text, and how numbers and intervals are written in them."""

from __future__ import annotations

import html
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any


class Html:
    """A piece of HTML with its plain text, as the last line of a cell. Whatever stands in it was escaped on the way in."""

    def __init__(self, markup: str, text: str) -> None:
        self._markup, self._text = markup, text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": self._markup, "text/plain": self._text}

    def __repr__(self) -> str:
        return self._text


def html_table(rows: Sequence[Mapping[str, object]], caption: str = "") -> Html:
    """A table of text, first row's keys as its head; every value is shown as the text it is. Drawn by great_tables, in the
    colours of the page that it stands in."""
    if not rows:
        words = f"{caption}: (nothing)" if caption else "(nothing)"
        return Html(f"<p>{html.escape(words)}</p>", f"{caption}\n(nothing)".lstrip())
    names = list(rows[0])
    cells = {n: [show(r[n]) for r in rows] for n in names}
    widths = {n: max(len(n), *map(len, column)) for n, column in cells.items()}
    table = [names, *zip(*cells.values(), strict=True)]
    lines = ["  ".join(x.ljust(widths[n]) for n, x in zip(names, line, strict=True)).rstrip() for line in table]
    text = "\n".join(([caption] if caption else []) + lines)
    return Html(_drawn(cells, {n: _align(rows, n) for n in names}, caption), text)


# great_tables takes names and numbers for colours, and not those two words that leave them to the page.
_PAPER, _INK = "#FEFDFC", "#030201"
_MARK = "bk-text-"


def _drawn(cells: dict[str, list[str]], aligned: dict[str, str], caption: str) -> str:
    import great_tables
    import polars as pl

    # Its older versions write what is in a cell as it is, newer ones escape it: so it never sees any text of ours.
    texts = [caption, *cells, *(cell for column in cells.values() for cell in column)]
    marks = iter(range(len(texts)))
    title = f"{_MARK}{next(marks)}."
    heads: dict[str, Any] = {f"c{i}": f"{_MARK}{next(marks)}." for i in range(len(cells))}
    frame = {f"c{i}": [f"{_MARK}{next(marks)}." for _ in column] for i, column in enumerate(cells.values())}
    table = great_tables.GT(pl.DataFrame(frame), id=f"bk-{uuid.uuid4().hex[:8]}").cols_label(**heads)
    for side in ("left", "right"):
        table = table.cols_align(side, [f"c{i}" for i, where in enumerate(aligned.values()) if where == side])
    if caption:
        table = table.tab_header(title)
    table = table.opt_align_table_header("left").tab_options(
        container_width="fit-content",
        table_background_color=_PAPER,
        table_font_color=_INK,
        table_font_color_light=_INK,
        table_font_size="inherit",
        table_margin_left="0",
        data_row_padding="4px",
        table_border_top_style="none",
        table_border_bottom_style="none",
        column_labels_font_weight="bold",
    )
    drawn: str = table.as_raw_html()
    drawn = drawn.replace(_PAPER, "transparent").replace(_INK, "inherit")
    return re.sub(rf"{_MARK}(\d+)\.", lambda mark: html.escape(texts[int(mark[1])]), drawn)


def _align(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    text = any(
        isinstance(r[name], str) and r[name] not in ("–", "") and not r[name].lstrip("+-≥ ")[:1].isdigit() for r in rows
    )
    return "left" if text else "right"


def show(value: object) -> str:
    """A value as a person reads it: an en dash for null, no more digits than help."""
    if value is None:
        return "–"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, float):
        return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def interval(value: float | None, low: float | None, high: float | None, factor: float = 1.0) -> str:
    """ "50.1 (49.8-50.6)"; "≥ 49.8" where the tail has no honest top; the bare value where there is no interval."""
    if value is None:
        return "–" if low is None else f"≥ {_digits(low * factor, low * factor)}"
    x = value * factor
    if low is None and high is None:
        return _digits(x, x)
    if high is None and low is not None:
        return f"≥ {_digits(low * factor, x)}"
    return f"{_digits(x, x)} ({_digits((low or 0) * factor, x)}–{_digits((high or 0) * factor, x)})"


def _digits(x: float, like: float) -> str:
    size = abs(like)
    return f"{x:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"

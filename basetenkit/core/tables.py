"""Tables for people, as HTML and as text, and the format of numbers and intervals in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .markup import render

if TYPE_CHECKING:
    from markupsafe import Markup

LONG_WORD = 30  # characters: a longer word would make its column too wide
SHORT_TEXT = 28  # characters: a longer text is broken between its words


class Html:
    """A piece of HTML with its plain text, as the last line of a cell. In a template it is HTML, too."""

    def __init__(self, markup: Markup, text: str) -> None:
        self._markup, self._text = markup, text

    def __html__(self) -> Markup:
        return self._markup

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": str(self._markup), "text/plain": self._text}

    def __repr__(self) -> str:
        return self._text


# Its colours are those of the page, so that it is legible in a light and in a dark one. JupyterLab has rules for every table of an
# output (equal widths, everything to the right), hence the class twice: ours count more than those.
# A number and its interval may be on two lines, and neither is broken, nor is a short text.
_TABLE = """
<div style="overflow-x: auto">
<style>
.bk-table.bk-table { border-collapse: collapse; margin: 0 0 12px; width: fit-content; table-layout: auto; border: 0;
  font-variant-numeric: tabular-nums; }
.bk-table.bk-table caption { padding: 0 8px 6px; text-align: left; font-size: 1.15em; }
.bk-table.bk-table :is(th, td) { padding: 4px 8px; border: 0; text-align: left; vertical-align: top; max-width: 60em; }
.bk-table.bk-table th { vertical-align: bottom; font-weight: 600; }
.bk-table.bk-table tr > :is(th, td) { border-bottom: 1px solid rgba(128, 128, 128, .3); }
.bk-table.bk-table thead th { border-bottom: 1px solid rgba(128, 128, 128, .8); }
.bk-table.bk-table .bk-right { text-align: right; }
.bk-table.bk-table .bk-right > span, .bk-table.bk-table .bk-left { white-space: nowrap; }
.bk-table.bk-table .bk-words { min-width: 14em; }
.bk-table.bk-table .bk-long { min-width: 12em; overflow-wrap: anywhere; }
</style>
<table class="bk-table">
{% if caption %}
<caption>{{ caption }}</caption>
{% endif %}
<thead><tr>{% for name, kind in heads %}<th scope="col" class="bk-{{ kind }}">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows %}
<tr>{% for cell, kind in row %}<td class="bk-{{ kind }}">
{%- if kind == "right" -%}
{% for part in cell.split(" (") %}<span>{{ "" if loop.first else "(" }}{{ part }}</span>{{ "" if loop.last else " " }}{% endfor %}
{%- else %}{{ cell }}{% endif -%}
</td>{% endfor %}</tr>
{% endfor %}
</tbody>
</table>
</div>
"""


def html_table(rows: Sequence[Mapping[str, object]], caption: str = "") -> Html:
    """A table of text, first row's keys as its head; every value is shown as the text it is, in the colours of the page."""
    if not rows:
        return Html(paragraph(f"{caption}: (nothing)" if caption else "(nothing)"), f"{caption}\n(nothing)".lstrip())
    names = list(rows[0])
    kinds = [_kind(name, [row[name] for row in rows]) for name in names]
    cells = [[show(row[name]) for name in names] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    lines = ["  ".join(x.ljust(n) for x, n in zip(line, widths, strict=True)).rstrip() for line in (names, *cells)]
    drawn = render(
        _TABLE,
        caption=caption,
        heads=list(zip(names, kinds, strict=True)),
        rows=[list(zip(row, kinds, strict=True)) for row in cells],
    )
    return Html(drawn, "\n".join(([caption] if caption else []) + lines))


def paragraph(text: str) -> Markup:
    """A paragraph of plain text."""
    return render("<p>{{ text }}</p>", text=text)


def stacked(*parts: Html | Markup) -> str:
    """The HTML of several pieces, one below the other."""
    return str(render("{% for part in parts %}{{ part }}{% endfor %}", parts=parts))


def _kind(name: str, cells: Sequence[object]) -> str:
    """How a column is set: "right" if it has only numbers, "long" if it has words that must be broken, "words" if it
    has sentences, else "left"."""
    texts = [cell for cell in cells if isinstance(cell, str) and cell not in ("–", "")]
    if all(text.lstrip("+-≥ ")[:1].isdigit() for text in texts):
        return "right"
    if any(len(word) > LONG_WORD for text in (name, *texts) for word in text.split()):
        return "long"
    return "left" if all(len(text) <= SHORT_TEXT for text in (name, *texts)) else "words"


def show(value: object) -> str:
    """A value as a person reads it: an en dash for null, no more digits than help."""
    if value is None:
        return "–"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, float):
        whole = value == round(value) or abs(value) >= 1000
        return f"{value:,.0f}" if whole and abs(value) < 1e15 else f"{value:,.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def interval(value: float | None, low: float | None, high: float | None, factor: float = 1.0) -> str:
    """An estimate with its 95% interval: "50.1 (49.8–50.6)"; "62.0 (≥ 60.2)" if the interval has no upper bound; "≥ 60.2" only if
    the value itself is not known; the bare value if there is no interval, or none of any width.

    >>> interval(0.0620, 0.0602, None, 1e3)
    '62.0 (≥ 60.2)'
    """
    low, high = (None if x is None else x * factor for x in (low, high))
    if value is None:
        return "–" if low is None else f"≥ {digits(low)}"
    x = value * factor
    like = x if x else high  # a share of 0 has the digits of its upper bound
    if (low is None and high is None) or low == x == high:
        return digits(x)
    if high is None:
        return f"{digits(x, like)} (≥ {digits(low or 0.0, like)})"
    if low is None:
        return f"{digits(x, like)} (≤ {digits(high, like)})"
    return f"{digits(x, like)} ({digits(low, like)}–{digits(high, like)})"


def digits(x: float, like: float | None = None) -> str:
    """A number with about three digits, as many as `like` would have; at most three decimals.

    >>> [digits(x) for x in (1114.2, 89.04, 6.512, 0.0349, 0.0)]
    ['1,114', '89.0', '6.51', '0.035', '0']
    """
    size = abs(float(f"{x if like is None else like:.3g}"))  # 99.97 is written as 100
    text = f"{x:,.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"
    return "0" if not any(c in "123456789" for c in text) else text


def percent(share: float) -> str:
    """A share as a percentage, with as many digits as keep it apart from 0 and from 100."""
    x = share * 100
    near = min(abs(x), abs(100 - x))
    if 0 < near < 0.005:
        return "below 0.01%" if x < 50 else "over 99.99%"
    return f"{x:.0f}%" if abs(x - round(x)) < 1e-9 or near >= 10 else f"{x:.1f}%" if near >= 0.1 else f"{x:.2f}%"

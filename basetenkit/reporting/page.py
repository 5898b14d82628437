"""A page of sections: a verdict, then titles, words, tables and pictures, as one HTML file that fetches and runs nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.markup import render
from ..core.tables import Html
from ..core.types import JsonObject
from .altair_renderer import describe, picture

if TYPE_CHECKING:
    from markupsafe import Markup

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --faint: #666; --line: #ccc; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181c; --faint: #a0a0a0; --line: #444; }
  img { filter: invert(.91) hue-rotate(180deg); }
}
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; max-width: 70em;
  margin: 2em auto; padding: 0 1em; overflow-wrap: break-word; }
h1, h2 { line-height: 1.2; } h1 { margin-bottom: .3em; } h2 { margin-top: 1.8em; font-size: 1.3em; }
.head, .words { color: var(--faint); }
.bk-verdict { border-left: 4px solid #0072B2; padding-left: .8em; }
figure { margin: 1em 0; } img { max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
.pictures { display: flex; flex-wrap: wrap; gap: 0 1.5em; }
details { border-top: 1px solid var(--line); margin-top: 2em; padding-top: 1em; }
summary { cursor: pointer; font-size: 1.3em; font-weight: 600; }
@media screen and (max-width: 640px) { figure { overflow-x: auto; } img { max-width: none; width: 560px; } }
@media print {
  body { font-size: 11px; margin: 0; max-width: none; } h2 { margin-top: 1.2em; break-after: avoid; }
  figure, tr { break-inside: avoid; } img { max-height: 9cm; width: auto; filter: none; } .pictures figure { max-width: 47%; }
  .pictures figure:only-child { max-width: 100%; }
}
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% if head %}
<p class="head">{{ head }}</p>
{% endif %}
{{ verdict }}
{% macro show(section) %}
<section>
<h2>{{ section.title }}</h2>
{% if section.words %}
<p class="words">{{ section.words }}</p>
{% endif %}
{% if section.table is not none %}
{{ section.table }}
{% endif %}
{% if section.pictures %}
<div class="pictures">
{% for picture in section.pictures %}
{% if picture.source %}
<figure><img src="{{ picture.source }}" width="{{ picture.width }}" height="{{ picture.height }}"
 alt="{{ picture.words }}"></figure>
{% else %}
<p>{{ picture.words }} (left out: the file would be too large; draw it with bk.charts)</p>
{% endif %}
{% endfor %}
</div>
{% endif %}
</section>
{% endmacro %}
{% for section in sections %}
{{ show(section) }}
{% endfor %}
{% if appendix %}
<details>
<summary>Appendix: all figures, more charts, the configuration</summary>
{% for section in appendix %}
{{ show(section) }}
{% endfor %}
</details>
{% endif %}
</body>
</html>
"""


@dataclass(frozen=True)
class PagePicture:
    """A chart as a data URL; `source` is "" for one that was left out. `size`: bytes of its PNG, 0 for one that was left out."""

    words: str
    source: str
    width: int
    height: int
    size: int


@dataclass(frozen=True)
class Section:
    """A title with words, a table, and pictures below it."""

    title: str
    words: str = ""
    table: Html | None = None
    pictures: Sequence[PagePicture] = ()


def pictured(spec: JsonObject, most: int | None = None) -> PagePicture:
    """The picture of a chart's specification; left out if its PNG has more than `most` bytes."""
    png, width, height = picture(spec)
    fits = most is None or len(png) <= most
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}" if fits else ""
    return PagePicture(describe(spec), source, width, height, len(png) if fits else 0)


def document(
    title: str, head: str, verdict: Markup, sections: Sequence[Section], appendix: Sequence[Section] = ()
) -> bytes:
    """The page as UTF-8; `appendix`: sections that are folded."""
    page = render(_PAGE, title=title, head=head, verdict=verdict, sections=sections, appendix=appendix)
    return page.encode("utf-8", "replace")

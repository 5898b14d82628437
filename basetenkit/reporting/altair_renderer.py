"""Shows charts without a network.

altair's own renderers load Vega from a CDN. Here vl-convert compiles a chart to Vega, and its MIME bundle has two forms:
`application/vnd.vega.v5+json`, which JupyterLab draws without a network, and a small PNG, which nbconvert and other programs
show. The theme has its own background, so that charts are readable in light and dark themes.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import csv
import importlib
import importlib.util
import io
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from ..core.types import JsonObject

SCALE = 1.5
# Okabe and Ito's palette, which colour-blind readers can tell apart; yellow is left out: it is too pale on white.
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#555555"]
LABEL_LIMIT = 320  # pixels: a level's label is longer than Vega's 160
_APART = {
    "labelOverlap": True,
    "labelSeparation": 8,
}  # pixels between two labels of an axis; without, "1,4001,600" is not hidden
INK, FAINT, GRID = "#222", "#888", "#ddd"


def theme() -> JsonObject:
    """The card: white background, dark ink, pale grid."""
    text = {"labelColor": INK, "titleColor": INK}
    return {
        "config": {
            "background": "white",
            "title": {"color": INK, "subtitleColor": "#555", "anchor": "start", "fontSize": 14, "subtitleFontSize": 11},
            "style": {name: {"fill": INK} for name in ("guide-label", "guide-title", "group-title")},
            "axis": {
                **text,
                "domainColor": FAINT,
                "tickColor": FAINT,
                "gridColor": GRID,
                "titleFontWeight": "normal",
                **_APART,
            },
            "legend": {**text, "titleFontWeight": "normal", "labelLimit": LABEL_LIMIT},
            "header": {**text, "labelLimit": LABEL_LIMIT},
            "text": {"color": INK},
            "rule": {"color": INK},
            "view": {"stroke": GRID},
            "range": {"category": PALETTE},
        }
    }


@contextlib.contextmanager
def _grammar_made_when_used() -> Iterator[None]:
    """While altair is imported, which imports jsonschema, which imports rfc3987-syntax if it is installed: that package spends
    seconds on a grammar of IRIs that no chart needs. Within this context its function makes the grammar when it is first called."""
    name = "rfc3987_syntax"
    if name in sys.modules or "jsonschema._format" in sys.modules or importlib.util.find_spec(name) is None:
        yield
        return
    stand_in = ModuleType(name)

    def is_valid_syntax(term: str, value: str) -> bool:
        return bool(importlib.import_module(name).is_valid_syntax(term, value))

    stand_in.is_valid_syntax = is_valid_syntax  # type: ignore[attr-defined]
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]


def enable_charts() -> None:
    """Registers and enables the theme and the renderer in altair; safe to call often."""
    with _grammar_made_when_used():
        import altair as alt

    if "basetenkit" not in alt.renderers.names():
        alt.theme.register("basetenkit", enable=True)(lambda: theme())  # type: ignore[arg-type, return-value]
        alt.renderers.register("basetenkit", render)
        alt.renderers.enable("basetenkit")
    alt.data_transformers.disable_max_rows()


def render(spec: JsonObject, **_: Any) -> tuple[JsonObject, JsonObject]:
    """(MIME bundle, metadata) of a Vega-Lite spec: interactive Vega, a palette PNG, and plain text."""
    import vl_convert

    live = copy.deepcopy(spec)
    _pack(live, live.get("datasets", {}))
    vega = vl_convert.vegalite_to_vega(live)
    vega["$schema"] = "https://vega.github.io/schema/vega/v5.json"  # what JupyterLab brings; vl-convert names its own
    title = spec.get("config", {}).get("title", {})  # else JupyterLab's dark theme whitens it on the white card
    vega.setdefault("config", {}).setdefault("title", {}).update(
        {k: title[k] for k in ("color", "subtitleColor") if k in title}
    )
    png, width, height = picture(spec)
    bundle = {
        "application/vnd.vega.v5+json": vega,
        "image/png": base64.b64encode(png).decode(),
        "text/plain": describe(spec),
    }
    return bundle, {
        "image/png": {"width": width, "height": height},
        "application/vnd.vega.v5+json": {"embed_options": {"actions": False}},
    }


def picture(spec: dict[str, object], scale: float = SCALE, background: str = "white") -> tuple[bytes, int, int]:
    """(PNG of 128 colours, width, height in CSS pixels) of a Vega-Lite spec: a quarter of the full-colour size."""
    import vl_convert
    from PIL import Image

    raw = vl_convert.vegalite_to_png({**spec, "background": background}, scale=scale)
    image = Image.open(io.BytesIO(raw)).convert("RGB")
    small = io.BytesIO()
    image.quantize(128, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue(), round(image.width / scale), round(image.height / scale)


def describe(spec: Mapping[str, object]) -> str:
    """A chart as text, for people who cannot see it: its title and subtitle."""
    title = spec.get("title", "")
    if isinstance(title, Mapping):
        subtitle = title.get("subtitle", "")
        lines = subtitle if isinstance(subtitle, list) else [subtitle]
        return "Chart: " + ". ".join(str(x) for x in (title.get("text", ""), *lines) if x)
    return f"Chart: {title}" if title else "Chart"


def _pack(node: Any, datasets: JsonObject) -> None:
    """Turns data sets of rows into CSV text inside the spec: an .ipynb puts each JSON value on its own line."""
    formats: dict[str, JsonObject | None] = {}
    stack = [node]
    while stack:
        x = stack.pop()
        if isinstance(x, list):
            stack.extend(x)
        elif isinstance(x, dict):
            data = x.get("data")
            data = data if isinstance(data, dict) else {}
            name = data.get("name")
            if name in datasets and "format" not in data:
                if name not in formats:
                    formats[name] = _to_csv(datasets, name)
                if formats[name] is not None:
                    data["format"] = formats[name]
            stack.extend(v for k, v in x.items() if k != "datasets")


def _to_csv(datasets: dict[str, object], name: str) -> dict[str, object] | None:
    """Replaces one data set by CSV text and returns its format; None, and nothing replaced, where CSV would lose something."""
    rows = datasets[name]
    if not (isinstance(rows, list) and rows and isinstance(rows[0], dict)):
        return None
    if any(set(key) & set(".[]\\'\"") for key in rows[0]):  # Vega reads these in a name as a path
        return None
    parse = {}
    for key in rows[0]:
        column = [row.get(key) for row in rows]
        kinds = {type(v) for v in column if v is not None}
        if kinds and kinds <= {int, float}:
            parse[key] = "number"
        elif kinds == {bool} and None not in column:
            parse[key] = "boolean"
        elif kinds != {str} or None in column or "" in column:
            return None
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([_cell(row.get(key)) for key in rows[0]] for row in rows)
    datasets[name] = out.getvalue()
    return {"type": "csv", "parse": parse}


def _cell(value: object) -> Any:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value

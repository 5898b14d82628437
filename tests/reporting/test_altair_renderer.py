"""Charts that need no network, tables that a person can read, and nothing in them that runs."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import pytest
from PIL import Image

from basetenkit.reporting import altair_renderer
from basetenkit.reporting.altair_renderer import describe, enable_charts, picture, render, theme

ROWS = [
    {"name": 'a, "b" and\nc', "on": True, "x": 1.5, "n": 3, "maybe": 2.0},
    {"name": "ü–≥", "on": False, "x": -2e-7, "n": 10**12, "maybe": None},
]


def bars(rows: list[dict[str, Any]]) -> dict[str, Any]:
    enable_charts()
    chart = alt.Chart({"values": rows}).mark_bar().encode(x="x:Q", y="name:N", color="on:N", opacity="maybe:Q")
    spec: dict[str, Any] = chart.properties(title=alt.Title("Bars", subtitle="of two")).to_dict()
    return spec


def named(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A spec whose rows are in `datasets`, as altair puts a frame's."""
    spec = bars(rows)
    spec["data"], spec["datasets"] = {"name": "d0"}, {"d0": rows}
    return spec


def read_back(spec: dict[str, Any]) -> dict[str, Any]:
    """The bundle's Vega data set: {name, values, format}."""
    data: dict[str, Any]
    (data,) = [d for d in vega_of(spec)["data"] if "values" in d]
    return data


def vega_of(spec: dict[str, Any]) -> dict[str, Any]:
    vega: dict[str, Any] = render(spec)[0]["application/vnd.vega.v5+json"]
    return vega


# -- the bundle --------------------------------------------------------------------------------------------------------


def test_a_chart_is_shipped_as_vega_a_picture_and_words() -> None:
    bundle, metadata = render(bars(ROWS))
    assert set(bundle) == {"application/vnd.vega.v5+json", "image/png", "text/plain"}
    assert bundle["text/plain"] == "Chart: Bars. of two"
    assert bundle["application/vnd.vega.v5+json"]["$schema"].endswith("/vega/v5.json")
    assert bundle["application/vnd.vega.v5+json"]["config"]["title"]["color"] == "#222"
    png = base64.b64decode(bundle["image/png"])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    size = metadata["image/png"]
    image = Image.open(io.BytesIO(png))
    assert image.mode == "P"
    assert (round(image.width / 1.5), round(image.height / 1.5)) == (size["width"], size["height"])
    assert metadata["application/vnd.vega.v5+json"] == {"embed_options": {"actions": False}}


def test_the_bundle_is_json_and_the_spec_is_left_as_it_was() -> None:
    spec = named(ROWS[:1])
    before = json.dumps(spec)
    json.dumps(render(spec)[0])
    assert json.dumps(spec) == before


def test_the_picture_is_drawn_on_white_and_shows_something() -> None:
    png, width, height = picture(bars(ROWS), scale=1.0)
    image = Image.open(io.BytesIO(png)).convert("RGB")
    assert (image.width, image.height) == (width, height)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert len(image.getcolors(1 << 20) or []) > 5


def test_a_chart_in_words() -> None:
    assert describe({"title": "Plain"}) == "Chart: Plain"
    assert describe({}) == "Chart"
    assert describe({"title": {"text": "A", "subtitle": ["b", "c"]}}) == "Chart: A. b. c"


# -- rows as one text --------------------------------------------------------------------------------------------------


def test_rows_are_packed_into_one_text_and_keep_their_values() -> None:
    rows = [{k: v for k, v in row.items() if k != "name"} | {"name": f"a, {i}"} for i, row in enumerate(ROWS)]
    data = read_back(named(rows))
    assert isinstance(data["values"], str)
    assert data["format"]["type"] == "csv"
    parse = {
        t["as"]: t["expr"].split("(")[0]
        for t in vega_of(named(rows))["data"][1]["transform"]
        if "expr" in t and "as" in t
    }
    assert (parse["x"], parse["n"], parse["maybe"], parse["on"]) == ("toNumber", "toNumber", "toNumber", "toBoolean")
    back = pl.read_csv(io.StringIO(data["values"]))
    assert back.select(list(rows[0])).rows(named=True) == rows


def test_text_with_quotes_commas_and_line_breaks_is_quoted() -> None:
    rows = [{"name": row["name"], "x": row["x"]} for row in ROWS]
    data = read_back(named(rows))
    assert pl.read_csv(io.StringIO(data["values"])).rows(named=True) == rows


@pytest.mark.parametrize(
    "lossy",
    [
        [{"name": "a", "x": 1}, {"name": None, "x": 2}],
        [{"name": "a", "x": 1}, {"name": "", "x": 2}],
        [{"name": "a", "x": 1}, {"name": 5, "x": 2}],
        [{"on": True, "x": 1}, {"on": None, "x": 2}],
        [{"name": {"deep": 1}, "x": 1}],
        [{"a.b": "z", "x": 1}],
        [{"name": None, "x": 1}],
    ],
)
def test_what_a_csv_would_lose_is_left_as_it_is(lossy: list[dict[str, Any]]) -> None:
    assert read_back(named(lossy))["values"] == lossy


def test_a_packed_chart_draws_what_the_unpacked_one_draws() -> None:
    """The Vega that JupyterLab gets, drawn by the same engine as the picture: the marks are the same."""
    import vl_convert

    maybe = [0.5, None, 0.1]
    rows = [{"name": n, "x": i + 1, "on": i > 0, "maybe": maybe[i]} for i, n in enumerate(("a, b", '"q"', "c"))]
    packed, plain = vega_of(named(rows)), vl_convert.vegalite_to_vega(named(rows))
    assert isinstance(read_back(named(rows))["values"], str)
    assert vl_convert.vega_to_svg(packed) == vl_convert.vega_to_svg(plain)


# -- the theme ---------------------------------------------------------------------------------------------------------


def test_the_theme_and_the_renderer_are_registered_once() -> None:
    enable_charts()
    for _ in range(3):
        enable_charts()
    assert alt.theme.names().count("basetenkit") == 1
    assert alt.renderers.names().count("basetenkit") == 1
    assert alt.renderers.active == "basetenkit"
    assert alt.theme.active == "basetenkit"


def test_a_readers_own_renderer_is_not_taken_back() -> None:
    enable_charts()
    with alt.renderers.enable("json"):
        enable_charts()
        assert alt.renderers.active == "json"
    assert alt.renderers.active == "basetenkit"


def test_the_card_has_its_own_background_and_dark_ink() -> None:
    config = theme()["config"]
    assert config["background"] == "white"
    assert config["title"]["color"] == config["axis"]["labelColor"] == config["legend"]["titleColor"] == "#222"


def test_a_chart_shows_itself_by_the_bundle() -> None:
    enable_charts()
    chart = alt.Chart(pl.DataFrame(ROWS[:1])).mark_point().encode(x="x:Q")
    bundle = chart._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.vega.v5+json" in data


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_column_whose_name_vega_takes_for_a_path_is_left_as_rows() -> None:
    datasets: dict[str, Any] = {"d": [{"a.b": 1, "c": 2}, {"a.b": 3, "c": 4}]}
    altair_renderer._pack({"data": {"name": "d"}}, datasets)
    assert isinstance(datasets["d"], list)


IMPORTS = """
import sys
sys.path.insert(0, sys.argv[1])
from basetenkit.reporting.altair_renderer import enable_charts
enable_charts()
import jsonschema
early = "rfc3987_syntax" in sys.modules
checks = jsonschema.FormatChecker()
print(early, [checks.conforms(text, "iri") for text in ("http://a/b", "http://a b")], "rfc3987_syntax" in sys.modules)
"""


def test_a_grammar_that_no_chart_needs_is_not_made_with_the_first_chart(tmp_path: Path) -> None:
    (tmp_path / "rfc3987_syntax.py").write_text("def is_valid_syntax(term, value):\n    return ' ' not in value\n")
    command = [sys.executable, "-c", IMPORTS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split("\n")[0] == "False [True, False] True", "it is made when an IRI is checked"

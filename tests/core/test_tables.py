"""Tables that a person can read, and nothing in them that runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from basetenkit.core.tables import Html, html_table, interval, paragraph, show, stacked


def test_what_stands_in_a_table_is_text_and_never_runs() -> None:
    evil = "<script>alert('x')</script>"
    table = html_table([{evil: evil, "b": "a & b"}], caption=evil)
    markup = table._repr_mimebundle_()["text/html"]
    assert "<script" not in markup
    assert markup.count("&lt;script&gt;") >= 3
    assert "a &amp; b" in markup
    assert evil in repr(table)


def test_a_table_has_a_head_a_row_each_and_its_plain_text() -> None:
    table = html_table(
        [{"load": "8 in flight", "n": 1200, "x": None}, {"load": "1 in flight", "n": 2, "x": 0.5}], "Figures"
    )
    bundle = table._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert [bundle["text/html"].count(tag) for tag in ("<th ", "<tr>", "<td ")] == [3, 3, 6]
    assert bundle["text/plain"] == repr(table)
    lines = repr(table).splitlines()
    assert [line.split() for line in lines] == [
        ["Figures"], ["load", "n", "x"], ["8", "in", "flight", "1,200", "–"], ["1", "in", "flight", "2", "0.5"],
    ]  # fmt: skip


def test_numbers_are_to_the_right_and_long_words_are_broken() -> None:
    row = {"load": "8 in flight", "TTFT, ms": "50.1 (49.8–50.6)", "n": 3, "url": "http://" + "x" * 40, "none": None}
    markup = html_table([row | {"load": "all"}])._repr_mimebundle_()["text/html"]
    head = markup.split("<thead>")[1].split("</thead>")[0]
    assert re.findall(r'class="bk-(\w+)"', head) == ["left", "right", "right", "long", "right"]
    assert "<span>50.1</span> <span>(49.8–50.6)</span>" in markup


def test_pieces_are_stacked_as_the_html_that_they_are() -> None:
    table = html_table([{"a": "<b>"}])
    assert stacked(paragraph("1 < 2"), table) == "<p>1 &lt; 2</p>" + table._repr_mimebundle_()["text/html"]


def test_a_table_of_nothing_says_so() -> None:
    table = html_table([])
    assert isinstance(table, Html)
    assert repr(table) == "(nothing)"
    assert "nothing" in table._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.0, "0"),
        (1234567, "1,234,567"),
        (2.0, "2"),
        (0.12345, "0.123"),
        (True, "True"),
        ("x", "x"),
    ],
)
def test_show(value: Any, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_shows_without_a_fuss(value: float) -> None:
    assert show(value) in ("nan", "inf")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((50.12, 49.81, 50.59), "50.1 (49.8–50.6)"),
        ((0.0501, 0.0498, 0.0506, 1e3), "50.1 (49.8–50.6)"),
        ((1234.4, 1200.2, 1300.0), "1,234 (1,200–1,300)"),
        ((1.234, 1.0, 1.5), "1.23 (1.00–1.50)"),
        ((0.1234, 0.1, 0.15), "0.123 (0.100–0.150)"),
        ((0.25, 0.2, None, 1e3), "250 (≥ 200)"),
        ((0.25, None, 0.3, 1e3), "250 (≤ 300)"),
        ((3.0, None, None), "3.00"),
        ((None, None, None), "–"),
        ((None, 12.0, None), "≥ 12.0"),
        ((0.0, 0.0, 0.14), "0 (0–0.140)"),
    ],
)
def test_interval(args: tuple[Any, ...], text: str) -> None:
    assert interval(*args) == text

"""Templates in which every value is text, and a value that is missing is an error."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from basetenkit.core.markup import render

EVIL = "<img src=x onerror='alert(1)'>\"&{{ 7 * 7 }}"
SHOWN = "&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&#34;&amp;{{ 7 * 7 }}"
PACKAGE = Path(__file__).parents[2] / "basetenkit"


def test_a_value_is_text_in_a_page_and_in_an_attribute() -> None:
    assert render('<p title="{{ x }}">{{ x }}</p>', x=EVIL) == f'<p title="{SHOWN}">{SHOWN}</p>'


def test_what_was_rendered_is_not_escaped_again() -> None:
    assert render("<div>{{ inner }}</div>", inner=render("<b>{{ x }}</b>", x="<")) == "<div><b>&lt;</b></div>"


def test_a_value_that_is_missing_is_an_error_and_not_an_empty_place() -> None:
    with pytest.raises(jinja2.UndefinedError, match="x"):
        render("{{ x }}")


def test_no_markup_is_made_by_hand_or_let_through() -> None:
    """`|safe`, `Markup(...)` elsewhere and `html.escape` would each be a second way to make HTML."""
    words = ["|safe", "| safe", "Markup(", "html.escape", "import escape"]
    files = [path for path in PACKAGE.rglob("*.py") if path.name != "markup.py"]
    assert len(files) > 100
    assert [(path.name, word) for path in files for word in words if word in path.read_text()] == []

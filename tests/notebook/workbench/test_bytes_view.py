from __future__ import annotations

import re
from pathlib import Path

import pytest

from basetenkit.notebook.workbench import bytes_view
from basetenkit.notebook.workbench.bytes_view import ArrivalStrip, BytesView

FOLDER = Path(bytes_view.__file__).parent


@pytest.mark.parametrize("name", ["bytes_view.js", "bytes_strip.js", "bytes_view.css"])
def test_its_code_fetches_nothing_and_never_makes_html_of_text(name: str) -> None:
    source = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:|@import|import\s", source
    )


def test_the_code_travels_with_the_widget() -> None:
    for widget in (BytesView(), ArrivalStrip()):
        state = widget.get_state()
        assert "export default" in str(state["_esm"])
        assert "--jp-" in str(state["_css"])


def test_what_is_set_is_what_is_sent() -> None:
    view = BytesView(segments=[["<b>", "even"]], mode="hex", where="byte 0")
    state = view.get_state()
    assert (state["segments"], state["mode"], state["where"]) == ([["<b>", "even"]], "hex", "byte 0")

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from PIL import Image

from .lab import jupyter_lab, page, run_all

pytestmark = pytest.mark.browser
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"


def colours(png: bytes) -> int:
    """How many different colours a picture has: a blank one has one or two."""
    return len(set(Image.open(io.BytesIO(png)).convert("RGB").resize((160, 100)).get_flattened_data()))


def test_the_quickstart_in_jupyterlab_draws_its_charts_without_a_network(tmp_path: Path, artifacts: Path) -> None:
    shutil.copy(NOTEBOOK, tmp_path / "quickstart.ipynb")
    outside: list[str] = []
    with jupyter_lab(tmp_path) as address, page() as tab:
        tab.on(
            "request",
            lambda r: outside.append(r.url) if not r.url.startswith((address, "data:", "blob:", "ws:")) else None,
        )
        run_all(tab, address, "quickstart.ipynb")
        tab.screenshot(path=str(artifacts / "quickstart_lab.png"))
        assert tab.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        charts = tab.locator(".jp-RenderedVegaCommon5 canvas, .jp-RenderedVegaCommon5 svg")
        assert charts.count() == 6
        for i in range(6):
            assert colours(charts.nth(i).screenshot()) > 8
        text = tab.locator(".jp-Notebook").inner_text()
    assert "144 of 144" in text
    assert "288 ok" in text
    assert [u for u in outside if u.startswith("http")] == []

"""One selection in a real JupyterLab: drawn with the mouse, seen in the linked charts, and read in the next cell."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

import basetenkit as bk

from .lab import go_dark, jupyter_lab, page, run_all, run_cell
from .test_workbench import write_notebook

pytestmark = pytest.mark.browser
CELL = """
import basetenkit as bk
run = bk.load("saved")
run.explore()
"""
AFTER = """
from basetenkit.reporting.brushing import placed
rows, stretch = placed(run.requests), run._stretch
inside = {r["request_id"] for r in rows.to_dicts() if r["at"] <= stretch[1] and r["over"] >= stretch[0]} if stretch else None
here = set(run.selected["request_id"])
print("selected", len(here), "of", run.requests.height, "as drawn", here == (inside or set(run.requests["request_id"])))
"""


def saved(folder: Path) -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=2, jitter=0.2) as server:
        config = bk.RunConfig(
            endpoint=bk.Endpoint(url=server.url), scenarios="D(20,20)", concurrency=[2, 8], max_requests=60
        )
        bk.run_sync(config).save(folder / "saved")


def marks(tab: Page) -> list[str]:
    """The paths of the charts below the selection: bars and ECDFs."""
    found: list[str] = tab.locator(".vega-embed svg .mark-rect path, .vega-embed svg .mark-line path").evaluate_all(
        "paths => paths.map(p => p.getAttribute('d') + p.getAttribute('transform'))"
    )
    return found


def drag(tab: Page, from_share: float, to_share: float) -> None:
    """Over the first chart, from one share of its width to another."""
    box = tab.locator(".vega-embed svg .mark-area").first.bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + from_share * box["width"], y)
    tab.mouse.down()
    tab.mouse.move(box["x"] + (from_share + to_share) / 2 * box["width"], y, steps=4)
    tab.mouse.move(box["x"] + to_share * box["width"], y, steps=4)
    tab.mouse.up()
    tab.wait_for_timeout(800)


def test_a_stretch_that_is_dragged_links_the_charts_and_gives_its_rows(tmp_path: Path, artifacts: Path) -> None:
    saved(tmp_path)
    write_notebook(tmp_path, CELL, AFTER)
    with jupyter_lab(tmp_path) as address, page(height=2200) as tab:
        requested: list[str] = []
        tab.on("request", lambda r: requested.append(r.url))
        run_all(tab, address, "bench.ipynb")
        tab.wait_for_selector(".vega-embed svg .mark-area", timeout=60_000)
        whole = marks(tab)
        tab.locator(".vega-embed").screenshot(path=str(artifacts / "explore.png"))
        drag(tab, 0.6, 0.9)
        part = marks(tab)
        tab.locator(".vega-embed").screenshot(path=str(artifacts / "explore_selected.png"))
        assert 0 < len(part) < len(whole)
        run_cell(tab, 1, "text=/selected \\d+ of \\d+ as drawn True/")
        said = tab.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output").inner_text().split()
        count, of = int(said[1]), int(said[3])
        assert 0 < count < of
        go_dark(tab)
        tab.locator(".vega-embed").screenshot(path=str(artifacts / "explore_dark.png"))
        assert all(url.startswith((address, "ws://", "data:", "blob:")) for url in requested), requested

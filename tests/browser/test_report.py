"""A report and what a cell shows, of a run in which every text is hostile, opened in a real Chromium: nothing of them runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page

import basetenkit as bk

from ..peer import peer
from ..test_injection import EVIL, NAME, config, page_of, say_evil
from .lab import jupyter_lab, page, run_all
from .test_workbench import write_notebook

pytestmark = pytest.mark.browser
RAN = "() => window.pwned !== undefined"


def hostile_run(folder: Path) -> bk.Run:
    with peer(say_evil) as server:
        return bk.run_sync(config(server.url), save_to=folder / NAME)


def listened(tab: Page) -> list[str]:
    """Whatever the page opens, fetches from elsewhere or asks, from now on."""
    found: list[str] = []

    def asked(dialog: Dialog) -> None:
        found.append(dialog.message)
        dialog.dismiss()

    tab.on("dialog", asked)
    tab.on("popup", lambda other: found.append(other.url))
    tab.on("request", lambda r: found.append(r.url) if not r.url.startswith(("data:", "file:", "about:")) else None)
    return found


def loaded(tab: Page, markup: str) -> None:
    tab.set_content(f"<!doctype html><body>{markup}</body>", wait_until="load")


CHARTS = """
import basetenkit as bk
from basetenkit.reporting.response_charts import events_strip
run = bk.load({folder!r})
exchange = run.exchange(run.requests.filter(run.requests["outcome"] == "ok")["request_id"][0])
events_strip(bk.ParserCase.from_exchange(exchange).parse())
"""


def test_a_tooltip_of_a_chart_in_jupyterlab_shows_hostile_text_as_text(tmp_path: Path, artifacts: Path) -> None:
    hostile_run(tmp_path / "runs")
    write_notebook(tmp_path, CHARTS.format(folder=str(tmp_path / "runs" / NAME)))
    with jupyter_lab(tmp_path) as address, page(height=1200) as tab:
        run_all(tab, address, "bench.ipynb")
        picture = tab.locator(".jp-OutputArea-output canvas, .jp-OutputArea-output svg.marks").first
        picture.wait_for(timeout=60_000)
        box = picture.bounding_box()
        assert box is not None
        found, tooltip = listened(tab), tab.locator("#vg-tooltip-element.visible")
        spots = [(x, y) for y in range(50, int(box["height"]), 12) for x in range(60, int(box["width"]), 2)]
        for x, y in spots:
            tab.mouse.move(box["x"] + x, box["y"] + y)
            if tooltip.count():
                break
        tab.screenshot(path=str(artifacts / "tooltip.png"))
        tooltip.wait_for(timeout=5000)
        assert "><img src=x" in tooltip.inner_text()
        assert tooltip.locator("img, script, iframe, svg").count() == 0
        assert not tab.evaluate(RAN)
    assert [url for url in found if not url.startswith(address)] == []


def test_nothing_of_a_hostile_run_runs_in_a_browser(tmp_path: Path) -> None:
    run = hostile_run(tmp_path)
    report = bk.report(run, tmp_path / f"{NAME}.html")
    with page(height=900) as tab:
        loaded(tab, EVIL)
        tab.wait_for_function(RAN)  # what this test looks for can be seen: raw, the payload runs
        tab.goto("about:blank")
        found = listened(tab)
        tab.goto(report.as_uri(), wait_until="load")
        assert "window.pwned" in tab.inner_text("body"), "the payload is there to be read"
        assert tab.locator("img:not([src^='data:image/png'])").count() == 0
        assert not tab.evaluate(RAN)
        exchange = run.exchange(run.requests["request_id"][0])
        for thing in (run, run.config, run.requests, bk.ParserCase.from_exchange(exchange)):
            tab.goto("about:blank")
            loaded(tab, page_of(thing))
            assert tab.locator("img, script, iframe, svg").count() == 0
            assert not tab.evaluate(RAN)
    assert found == []

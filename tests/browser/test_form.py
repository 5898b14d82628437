from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

import basetenkit as bk

from .lab import jupyter_lab, page, run_all, run_cell
from .test_workbench import write_notebook

pytestmark = pytest.mark.browser
KEY = "sk-this-key-is-in-no-message"
CELL = "import basetenkit as bk\nform = bk.RunForm()\nform"
AFTER = "print('rows', form.run.requests.height if form.run else None, form.config.endpoint.api_key is not None)"


def fill(tab: Page, name: str, value: str) -> None:
    box = tab.locator(f".bk-field-{name} input").first
    box.fill(value)
    box.blur()


def words(tab: Page) -> str:
    return tab.locator(".bk-form").inner_text()


def listen(tab: Page, received: list[Any]) -> None:
    """Keeps what the kernel sends to the front end."""
    tab.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(frame)))


def holds(frames: list[Any], text: str) -> bool:
    return any(text in (f if isinstance(f, str) else bytes(f).decode("utf-8", "replace")) for f in frames)


def test_a_run_is_filled_in_tried_started_watched_and_stopped(tmp_path: Path, artifacts: Path) -> None:
    write_notebook(tmp_path, CELL, AFTER)
    received: list[Any] = []
    server = bk.emulator.serve(ttft_ms=30, itl_ms=2)
    with server, jupyter_lab(tmp_path) as address, page(height=2400) as tab:
        listen(tab, received)
        run_all(tab, address, "bench.ipynb")
        tab.wait_for_selector(".bk-form")
        fill(tab, "url", "not a url")
        tab.wait_for_selector(".bk-field-url >> text=no http or https URL")
        assert tab.locator(".bk-start").is_disabled()
        fill(tab, "api_key", KEY)
        fill(tab, "url", server.url)
        fill(tab, "max_requests", "5000")
        fill(tab, "concurrency", "8")
        tab.wait_for_selector(".bk-form >> text=two-sided 95% bounds for p50, p90, p95, p99")
        assert tab.locator(".bk-field-api_key input").input_value() == ""
        tab.locator(".bk-preflight").click()
        tab.wait_for_selector(".bk-form >> text=wire format", timeout=60_000)
        tab.locator(".bk-form").screenshot(path=str(artifacts / "form_filled.png"))
        tab.locator(".bk-start").click()
        tab.wait_for_selector(".bk-form >> text=TTFT p50", timeout=60_000)
        before = words(tab)
        tab.wait_for_timeout(3000)
        assert words(tab) != before
        tab.locator(".bk-form").screenshot(path=str(artifacts / "form_live.png"))
        tab.locator(".bk-stop").click()
        tab.wait_for_selector(".bk-form >> text=form.run")
        tab.locator(".bk-form").screenshot(path=str(artifacts / "form_stopped.png"))
        run_cell(tab, 1, "text=/rows [1-9][0-9]{0,3} True/")
        tab.set_viewport_size({"width": 640, "height": 2600})
        tab.wait_for_timeout(800)
        tab.screenshot(path=str(artifacts / "form_narrow.png"))
    assert received
    assert holds(received, "two-sided")
    assert not holds(received, KEY)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

import basetenkit as bk

from .lab import go_dark, jupyter_lab, page, run_all, run_cell, save
from .test_workbench import write_notebook

pytestmark = pytest.mark.browser
KEY = "sk-this-key-is-in-no-message"
CELL = "import basetenkit as bk\nform = bk.RunForm()\nform"
AFTER = """
if form.run:
    rows, sent = form.run.requests, sum(level["sent"] for level in form.run.metadata["levels"] if "sent" in level)
    n = (rows["phase"] != "preflight").sum()
    print("rows", 0 < n < 10000, "lost", sent - n, "key", form.config.endpoint.api_key is not None)
"""
LEFT = "rows True lost 0 key True"


def fill(tab: Page, name: str, value: str) -> None:
    box = tab.locator(f".bk-field-{name} input").first
    box.fill(value)
    box.blur()


def words(tab: Page) -> str:
    return tab.locator(".bk-form").inner_text()


def listen(tab: Page, received: list[Any]) -> None:
    """Keeps what the notebook kernel sends to the front end."""
    tab.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(frame)))


def holds(frames: list[Any], text: str) -> bool:
    return any(text in (f if isinstance(f, str) else bytes(f).decode("utf-8", "replace")) for f in frames)


def contrast(tab: Page, selector: str) -> float:
    """WCAG's ratio of an element's ink to the nearest background below it."""
    colours = tab.locator(selector).first.evaluate(
        """e => { const ink = getComputedStyle(e).color; let b = e;
        while (b && /rgba\\(0, 0, 0, 0\\)/.test(getComputedStyle(b).backgroundColor)) b = b.parentElement;
        return [ink, getComputedStyle(b || document.body).backgroundColor].map(c => c.match(/[\\d.]+/g).map(Number)) }"""
    )

    def light(rgb: list[float]) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb[:3]]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05

    one, other = (light(rgb) for rgb in colours)
    return max(one, other) / min(one, other)


def shot(tab: Page, artifacts: Path, name: str) -> None:
    tab.locator(".bk-form").screenshot(path=str(artifacts / f"form_{name}.png"))


def no_part_is_wider(tab: Page) -> bool:
    found: bool = tab.locator(".bk-form").evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    return found


def until_numbers_move(tab: Page) -> None:
    """Two reads of the live view a second and more apart that differ; as long as it takes on a busy machine."""
    before = tab.locator(".bk-tiles").inner_text()
    tab.wait_for_timeout(1000)
    tab.wait_for_function("before => document.querySelector('.bk-tiles').innerText !== before", arg=before)


def test_a_run_is_filled_in_tried_started_watched_and_stopped(tmp_path: Path, artifacts: Path) -> None:
    write_notebook(tmp_path, CELL, AFTER)
    received: list[Any] = []
    server = bk.emulator.serve(ttft_ms=30, itl_ms=2, jitter=0.2)
    with server, jupyter_lab(tmp_path) as address, page(height=2400) as tab:
        listen(tab, received)
        run_all(tab, address, "bench.ipynb")
        tab.wait_for_selector(".bk-form")
        fill(tab, "url", "not a url")
        tab.wait_for_selector(".bk-field-url >> text=must be an http")
        assert tab.locator(".bk-start").is_disabled()
        fill(tab, "api_key", KEY)
        fill(tab, "url", f"{server.url}?api_key={KEY}")
        fill(tab, "max_requests", "5000")
        fill(tab, "concurrency", "8, 16")
        tab.wait_for_selector(".bk-form >> text=/p99 ±\\d+% to ±\\d+%/")
        assert tab.locator(".bk-field-api_key input").input_value() == ""
        assert tab.locator(".bk-field-url input").input_value() == f"{server.url}?api_key=***"
        tab.locator(".bk-preflight").click()
        tab.wait_for_selector(".bk-form >> text=wire format", timeout=60_000)
        shot(tab, artifacts, "filled")
        tab.locator(".bk-start").click()
        tab.wait_for_selector('.bk-form >> th:text-is("distribution")', timeout=60_000)
        until_numbers_move(tab)
        shot(tab, artifacts, "live")
        tab.locator(".bk-stop").click()
        tab.wait_for_selector(".bk-form >> text=form.run")
        shot(tab, artifacts, "stopped")
        run_cell(tab, 1, f"text=/{LEFT}/")
    assert received
    assert holds(received, "expected precision")
    assert not holds(received, KEY)


def test_a_host_that_is_not_there_is_told_in_a_sentence(tmp_path: Path, artifacts: Path) -> None:
    write_notebook(tmp_path, CELL)
    with jupyter_lab(tmp_path) as address, page(height=2400) as tab:
        run_all(tab, address, "bench.ipynb")
        fill(tab, "url", "http://no-such-host.invalid/v1/chat/completions")
        fill(tab, "max_requests", "6")
        fill(tab, "concurrency", "2")
        tab.locator(".bk-preflight").click()
        tab.wait_for_selector(".bk-form >> text=/no-such-host.invalid.*(resolve|DNS|known|found)/", timeout=60_000)
        tab.locator(".bk-start").click()
        tab.wait_for_selector(".bk-live >> text=/last error: .*no-such-host.invalid/", timeout=60_000)
        tab.wait_for_selector(".bk-form >> text=form.run", timeout=60_000)
        assert "0\nok" in tab.locator(".bk-tiles").inner_text()
        shot(tab, artifacts, "no_host")


def test_form_and_live_view_are_legible_in_the_dark_and_in_a_narrow_window(tmp_path: Path, artifacts: Path) -> None:
    write_notebook(tmp_path, CELL)
    server = bk.emulator.serve(ttft_ms=30, itl_ms=2, jitter=0.2)
    with server, jupyter_lab(tmp_path) as address, page(height=3400) as tab:
        run_all(tab, address, "bench.ipynb")
        fill(tab, "url", server.url)
        fill(tab, "max_requests", "5000")
        tab.get_by_text("Extras").click()
        go_dark(tab)
        tab.locator(".bk-preflight").click()
        tab.wait_for_selector(".bk-form >> text=wire format", timeout=60_000)
        assert contrast(tab, ".bk-form td") > 4.5
        shot(tab, artifacts, "dark_preflight")
        tab.locator(".bk-start").click()
        tab.wait_for_selector('.bk-form >> th:text-is("distribution")', timeout=60_000)
        until_numbers_move(tab)
        shot(tab, artifacts, "dark")
        assert contrast(tab, ".bk-help") > 3
        assert contrast(tab, ".bk-tiles b") > 4.5
        tab.set_viewport_size({"width": 640, "height": 5400})
        tab.wait_for_timeout(800)
        shot(tab, artifacts, "narrow")
        assert no_part_is_wider(tab)
        cut = "es => es.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
        assert tab.locator(".bk-form .widget-label").evaluate_all(cut) == []


def test_every_control_is_reached_by_the_keyboard_and_works_with_it(tmp_path: Path, artifacts: Path) -> None:
    """From the first control to the last by Tab alone; a heading opens by Space, and Tab reaches the controls below it next."""
    write_notebook(tmp_path, CELL)
    reachable = """() => [...document.querySelectorAll('.bk-form :is(input, select, textarea, button)')]
        .filter(e => e.offsetParent !== null && !e.disabled).length"""
    control = "() => document.activeElement.matches('input, select, textarea, button')"
    inside = "() => document.activeElement.closest('.bk-form') !== null"

    def walked(tab: Page) -> int:
        tab.locator(".bk-form :is(input, select, textarea, button)").first.focus()
        reached, steps = 0, 0
        while tab.evaluate(inside) and (steps := steps + 1) < 200:
            reached += tab.evaluate(control)  # a code block that scrolls is a stop as well
            tab.keyboard.press("Tab")
        return reached

    with jupyter_lab(tmp_path) as address, page(height=3400) as tab:
        run_all(tab, address, "bench.ipynb")
        fill(tab, "url", "http://127.0.0.1:9/v1/chat/completions")
        tab.wait_for_function("() => !document.querySelector('.bk-start').disabled")
        assert walked(tab) == tab.evaluate(reachable)
        for heading in tab.locator(".bk-fold").all():
            heading.focus()
            tab.keyboard.press("Space")
        tab.wait_for_selector(".bk-field-seed input")
        tab.wait_for_selector('.bk-form pre:has-text("messages")')
        shot(tab, artifacts, "opened")
        assert walked(tab) == tab.evaluate(reachable) > 40
        tab.locator(".bk-start").focus()
        assert "solid" in tab.locator(".bk-start").evaluate("e => getComputedStyle(e).outlineStyle")
        tab.keyboard.press("Enter")
        tab.wait_for_selector(".bk-form >> text=/form.run/", timeout=60_000)
        red = tab.locator(".bk-form p.bk-wrong").all_inner_texts()
        assert any("127.0.0.1" in words and "refused" in words.lower() for words in red), red


def test_a_run_goes_on_through_a_reload_of_the_page(tmp_path: Path, artifacts: Path) -> None:
    write_notebook(tmp_path, CELL, AFTER)
    server = bk.emulator.serve(ttft_ms=30, itl_ms=2)
    with server, jupyter_lab(tmp_path) as address, page(height=2400) as tab:
        run_all(tab, address, "bench.ipynb")
        fill(tab, "url", server.url)
        fill(tab, "max_requests", "50000")
        tab.locator(".bk-start").click()
        tab.wait_for_selector('.bk-form >> th:text-is("distribution")', timeout=60_000)
        save(tab)
        tab.goto(f"{address}/lab/tree/bench.ipynb")
        tab.wait_for_selector(".bk-form .bk-tiles", timeout=60_000)
        assert tab.locator(".bk-field-max_requests input").input_value() == "50000"
        until_numbers_move(tab)
        shot(tab, artifacts, "reloaded")
        tab.locator(".bk-stop").click()
        tab.wait_for_selector(".bk-form >> text=form.run")

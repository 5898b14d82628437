from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from .lab import go_dark, jupyter_lab, page, run_all

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=window.pwned=1></script><script>window.pwned=1</script>"
CELL = f"""
import json
import basetenkit as bk
evil = {EVIL!r}
def said(**delta):
    return b"data: " + json.dumps({{"choices": [{{"index": 0, "delta": delta}}]}}).encode() + b"\\n\\n"
parts = [(0.02, said(role="assistant")), (0.05, said(reasoning_content="Hm")), (0.09, said(content=evil))]
parts += [(0.1 + 0.02 * i, said(content=f" word{{i}}")) for i in range(6)]
parts += [(0.30, said(content=" end") + b"data: [DONE]\\n\\n")]
bench = bk.ResponseWorkbench(parts)
bench
"""


@pytest.fixture(autouse=True)
def a_history_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython sends its history of former sessions to JupyterLab: these tests neither add to it nor see it."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


def write_notebook(folder: Path, *sources: str) -> None:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "execution_count": None, "id": f"c{i}", "metadata": {}, "outputs": [], "source": source}
        for i, source in enumerate(sources)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    document = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (folder / "bench.ipynb").write_text(json.dumps(document))


def open_bench(tab: Page, address: str) -> None:
    run_all(tab, address, "bench.ipynb")
    tab.wait_for_selector(".bk-bytes-area")
    tab.wait_for_selector(".bk-strip svg .bk-tick")


def shot(tab: Page, artifacts: Path, name: str) -> None:
    tab.locator(".bk-workbench").first.screenshot(path=str(artifacts / f"workbench_{name}.png"))


def test_the_workbench_shows_bytes_takes_edits_and_steps_along_the_arrivals(tmp_path: Path, artifacts: Path) -> None:
    write_notebook(tmp_path, CELL)
    with jupyter_lab(tmp_path) as address, page(height=1900) as tab:
        open_bench(tab, address)
        shot(tab, artifacts, "text")
        verdict = tab.locator(".bk-verdict")
        assert "ok" in verdict.inner_text()
        area = tab.locator(".bk-bytes-area")
        assert area.input_value() == tab.locator(".bk-bytes-drawn").text_content()[:-1]  # type: ignore[index]
        area.fill(area.input_value().replace(" word3", " changed3"))
        tab.get_by_role("tab", name="Output").click()
        tab.wait_for_selector("text=changed3 word4")
        area.blur()
        tab.locator(".bk-strip").press("Home")
        tab.locator(".bk-strip").press("ArrowRight")
        tab.locator(".bk-strip").press("ArrowRight")
        tab.wait_for_selector(".bk-verdict:has-text('If this were all')")
        assert tab.locator(".bk-strip").get_attribute("aria-valuenow") == "2"
        assert tab.locator(".bk-bytes-drawn .bk-late").count() > 5
        shot(tab, artifacts, "step")
        tab.locator(".bk-strip").press("End")
        tab.get_by_role("button", name="Hex").click()
        tab.wait_for_selector(".bk-hex")
        area.fill("7b zz")
        tab.wait_for_selector(".bk-wrong:has-text('is not a hex digit')")
        shot(tab, artifacts, "hex")
        area.fill("7b 7d")
        tab.wait_for_selector(".bk-verdict:has-text('empty')")


def test_no_text_of_a_server_becomes_html_in_any_part(tmp_path: Path, artifacts: Path) -> None:
    write_notebook(
        tmp_path,
        CELL,
        "bad = bk.ResponseWorkbench(bk.ParserCase(json.dumps({'error': evil}).encode(), status=500))\nbad",
    )
    with jupyter_lab(tmp_path) as address, page(height=3600) as tab:
        open_bench(tab, address)
        for bench in tab.locator(".bk-workbench").all():
            for name in ("Output", "Events", "Messages", "Findings", "Why", "Keep it"):
                bench.get_by_role("tab", name=name).click()
                tab.wait_for_timeout(150)
                if name in ("Events", "Why"):
                    shot(tab, artifacts, name.lower())
        assert tab.locator(".bk-workbench img, .bk-workbench script").count() == 0
        assert tab.evaluate("window.pwned") is None
        assert EVIL in tab.locator(".bk-verdict").last.inner_text()
        assert EVIL in (tab.locator(".bk-workbench").first.text_content() or "")


def test_it_is_legible_in_the_dark_and_in_a_narrow_window(tmp_path: Path, artifacts: Path) -> None:
    write_notebook(tmp_path, CELL)
    with jupyter_lab(tmp_path) as address, page(height=1900) as tab:
        open_bench(tab, address)
        light = tab.locator(".bk-bytes-box").evaluate("e => getComputedStyle(e).backgroundColor")
        go_dark(tab)
        shot(tab, artifacts, "dark")
        assert tab.locator(".bk-bytes-box").evaluate("e => getComputedStyle(e).backgroundColor") != light
        tab.set_viewport_size({"width": 760, "height": 1900})
        tab.wait_for_timeout(800)
        shot(tab, artifacts, "narrow")
        assert tab.locator(".bk-workbench").evaluate("e => e.scrollWidth <= e.clientWidth + 1")


KEY = "planted-key-0815"
TRANSCRIPT = 'HTTP/1.1 429 Too Many\ncontent-type: application/json\n\n{"error": "slow down"}'
RUN_CELL = """
import basetenkit as bk
server = bk.emulator.serve(ttft_ms=30, itl_ms=12, fail={"http_500": 0.2})
endpoint = bk.Endpoint(url=server.url, model="m")
config = bk.RunConfig(steady=False,
    preflight=False, endpoint=endpoint, scenarios="D(5,30)", concurrency=2, max_requests=12, capture="all")
run = bk.run_sync(config)
server.stop()
bench = bk.ResponseWorkbench(run)
bench
"""


def test_a_request_of_a_run_is_picked_and_another_response_pasted(
    tmp_path: Path, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_API_KEY", KEY)  # the notebook kernel has it, and no message to the browser may
    write_notebook(tmp_path, RUN_CELL)
    with jupyter_lab(tmp_path) as address, page(height=2200) as tab:
        frames: list[str] = []
        tab.on(
            "websocket",
            lambda w: w.on("framereceived", lambda f: frames.append(f if isinstance(f, str) else f.decode("latin-1"))),
        )
        open_bench(tab, address)
        picker = tab.locator(".bk-workbench select").first
        options = picker.locator("option").all_inner_texts()
        picker.select_option(label=next(o for o in options if "ok," in o))
        tab.wait_for_selector(".bk-verdict b.bk-ok")
        assert "or up to" in tab.locator(".bk-workbench").inner_text()
        shot(tab, artifacts, "run")
        tab.get_by_role("tab", name="Keep it").click()
        shot(tab, artifacts, "keep")
        tab.get_by_text("How it is read").click()
        shot(tab, artifacts, "settings")
        tab.get_by_text("Paste a response").click()
        pasted = tab.get_by_placeholder("What curl -i printed, or a bare body")
        pasted.fill(TRANSCRIPT)
        shot(tab, artifacts, "paste")
        tab.get_by_role("button", name="Read it").click()
        tab.wait_for_selector(".bk-verdict:has-text('slow down')")
        assert len(frames) > 20
        assert KEY not in "".join(frames)

"""Draws the README's pictures from the product: `python -m tests.browser.screenshots [folder]`, docs/images by itself.

A real JupyterLab, a real Chromium and the embedded endpoint; each picture is cut to its widget and brought to 256 colours.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

import basetenkit as bk

from .lab import jupyter_lab, page, run_all
from .test_form import CELL, fill
from .test_workbench import RUN_CELL, write_notebook

HERE = Path(__file__).parents[2] / "docs" / "images"
LIMIT_BYTES = 150_000


def keep(png: bytes, path: Path) -> None:
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    image.save(path, "PNG", optimize=True)
    if path.stat().st_size >= LIMIT_BYTES:
        raise SystemExit(
            f"{path.name} has {path.stat().st_size:,} bytes; a README's picture has less than {LIMIT_BYTES:,}"
        )


def form_and_live(tab: Page, address: str, folder: Path, url: str) -> None:
    run_all(tab, address, "bench.ipynb")
    for name, value in {"url": url, "scenarios": "D(100,20)", "concurrency": "2, 4, 8", "max_requests": "1200"}.items():
        fill(tab, name, value)
    tab.wait_for_selector(".bk-plan >> text=p99 ±")
    keep(tab.locator(".bk-columns").screenshot(), folder / "form.png")
    tab.locator(".bk-start").click()
    tab.wait_for_selector(".bk-live >> text=concurrency 4: the good requests so far", timeout=120_000)
    tab.wait_for_timeout(3000)
    keep(tab.locator(".bk-live").screenshot(), folder / "live.png")
    tab.locator(".bk-stop").click()
    tab.wait_for_selector(".bk-form >> text=form.run")


def workbench(tab: Page, address: str, folder: Path) -> None:
    run_all(tab, address, "bench.ipynb")
    picker = tab.locator(".bk-workbench select").first
    picker.select_option(label=next(o for o in picker.locator("option").all_inner_texts() if "ok," in o))
    tab.wait_for_selector(".bk-verdict b.bk-ok")
    tab.wait_for_selector(".bk-strip svg .bk-tick")
    keep(tab.locator(".bk-workbench").screenshot(), folder / "workbench.png")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, page(height=2400) as tab:
        write_notebook(Path(place), CELL)
        server = bk.emulator.serve(ttft_ms=30, itl_ms=2, jitter=0.3, fail={"http_500": 0.01})
        with server, jupyter_lab(Path(place)) as address:
            form_and_live(tab, address, folder, server.url)
        write_notebook(Path(place), RUN_CELL)
        with jupyter_lab(Path(place)) as address:
            workbench(tab, address, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)

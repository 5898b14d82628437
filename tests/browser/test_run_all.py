"""`Run All` in a real JupyterLab: the cells behind a call that waits are all run, and the run's progress is drawn meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

import basetenkit as bk

from .lab import jupyter_lab, page, run_all
from .test_workbench import write_notebook

pytestmark = pytest.mark.browser
CELLS = (
    "import basetenkit as bk\nimport ipywidgets as w\nbar = w.IntProgress(max=3)\nbar.add_class('cells-done')\nbar",
    "endpoint = bk.Endpoint(url={url!r}, model='m')\n"
    "config = bk.RunConfig(endpoint=endpoint, scenarios='D(20,20)', concurrency=2, max_requests=30)",
    "run = bk.run_sync(config)\nbar.value = 1",
    "found = bk.preflight(config)\nbar.value = 2",
    "import asyncio\nawait asyncio.sleep(0.1)\nbar.value = 3",
    "print('all', bar.value, set(run.requests['outcome']) <= {{'ok', 'cancelled'}}, found.ok)",
)


def test_run_all_runs_the_cells_behind_run_sync(tmp_path: Path) -> None:
    with bk.emulator.serve(ttft_ms=30, itl_ms=2) as server, jupyter_lab(tmp_path) as address, page() as tab:
        write_notebook(tmp_path, *(cell.format(url=server.url) for cell in CELLS))
        run_all(tab, address, "bench.ipynb", timeout_s=200)
        shown = tab.locator(".jp-Notebook").inner_text()
    assert "all 3 True True" in shown
    assert "Traceback" not in shown
    assert "requests" in shown  # the line of progress of run_sync

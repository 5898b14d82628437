"""Notebooks of the site: executed on the embedded endpoint during the build, with charts that the site itself draws."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SHOWN = ("01_quickstart", "03_token_accounting")  # each takes seconds; the others run in JupyterLab
VEGA = "application/vnd.vega.v5+json"


def chart(spec: dict[str, Any]) -> str:
    """A chart as HTML: its specification, which docs/assets/charts.js draws."""
    text = json.dumps(spec).replace("<", "\\u003c")
    return f'<div class="chart"><div></div><script type="application/json">{text}</script></div>'


def execute(name: str) -> dict[str, Any]:
    """The notebook of that name after it ran, as a document. Raises CalledProcessError if a cell failed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"{name}.ipynb"
        command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(ROOT / "notebooks" / out.name), str(out)]
        quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
        subprocess.run(command, cwd=folder, env=quiet, check=True, capture_output=True, timeout=300)
        document: dict[str, Any] = json.loads(out.read_text("utf-8"))
    return document


def for_the_site(document: dict[str, Any]) -> dict[str, Any]:
    """The notebook with live charts, without what papermill adds and without widgets, whose scripts come from elsewhere."""
    document["metadata"] = {k: v for k, v in document["metadata"].items() if k in ("kernelspec", "language_info")}
    document["cells"] = [c for c in document["cells"] if "injected-parameters" not in c["metadata"].get("tags", [])]
    for cell in document["cells"]:
        cell["metadata"] = {}
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
            if VEGA in data:
                output["data"] = {"text/html": chart(data[VEGA])}
                output["metadata"] = {}
    return document


def write(folder: Path) -> None:
    """Writes the notebooks of SHOWN, executed, into `folder`; two at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        for name, document in zip(SHOWN, pool.map(execute, SHOWN), strict=True):
            (folder / f"{name}.ipynb").write_text(json.dumps(for_the_site(document)), "utf-8")

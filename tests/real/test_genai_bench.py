"""The real genai-bench: its own `excel` and `plot` read the folders that we write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from tests.real import servers

pytestmark = pytest.mark.real


def _write(url: str, folder: Path, **more: Any) -> None:
    endpoint = bk.Endpoint(url=url, model="m", stream=more.pop("stream", True))
    load = {"scenarios": ["D(20,5)", "N(20,2)/(8,2)"], "concurrency": [1, 2], "max_requests": 6} | more
    bk.write_genai_bench(bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **load)), folder)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder each of a run that was streamed, of one that was not, of one with nothing but errors, of an open loop,
    and of embeddings at several batch sizes."""
    home = tmp_path_factory.mktemp("genai-bench")
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        _write(server.url, home / "streamed")
        _write(server.url, home / "whole", stream=False)
        _write(server.url + "/nowhere", home / "errors")
        _write(server.url, home / "rates", concurrency=[], request_rate=[20, 40])
        sizes = {"task": "text-to-embeddings", "scenarios": ["E(32)", "E(64)"], "batch_size": [1, 8], "concurrency": 1}
        _write(server.embeddings_url, home / "batches", **sizes)
    return home


@pytest.mark.parametrize("name", ["streamed", "errors", "batches"])
def test_its_excel_reads_what_we_write(folders: Path, name: str) -> None:
    words = ["excel", "--experiment-folder", str(folders / name), "--excel-name", "book"]
    done = servers.genai_bench(*words, cwd=folders)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folders / name / "book.xlsx").stat().st_size > 1000
    assert "metrics not found" not in done.stdout + done.stderr


def test_its_plots_read_what_we_write(folders: Path) -> None:
    done = servers.genai_bench("plot", "--experiments-folder", str(folders), "--group-key", "none", cwd=folders)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [p for p in folders.rglob("*.png") if p.stat().st_size > 1000]

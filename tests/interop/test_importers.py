"""Whose results a folder holds, and that it is read as that."""

from __future__ import annotations

from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.core.errors import StoreError
from basetenkit.interop.importers import importer_of, open_run

from ..making import config
from .genai_bench.making import request, write


def test_a_folder_is_read_by_its_own_importer(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    write(theirs, "D20_5_text-to-text_num_concurrency_2_time_3s.json", [request(), request(0.3)])
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        run = bk.run_sync(config(endpoint=bk.Endpoint(url=server.url), max_requests=4), save_to=ours)
    tools = [one and one.tool for one in map(importer_of, (theirs, ours, tmp_path))]
    assert tools == ["genai-bench", "basetenkit", None]
    assert open_run(ours).requests.equals(run.requests)
    assert open_run(theirs).requests.equals(bk.read_genai_bench(theirs).requests)


def test_what_nobody_takes_is_told_as_no_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a run folder"):
        open_run(tmp_path)

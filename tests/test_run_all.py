"""`Run All`: every cell is sent to a real kernel at once, and none is lost, whatever a cell before it waits for."""

from __future__ import annotations

import json
import queue
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
WAITING = ("run_sync", "preflight", "calibrate", "compare_endpoints", "capacity", "%genai_bench")
BEGIN = """
import basetenkit as bk
config = bk.RunConfig(
    steady=False, preflight=False, endpoint=bk.Endpoint(url={url!r}, model="m"), scenarios="D(10,3)", concurrency=2, max_requests=8)
"""
MAGIC = "--api-backend openai --api-base {url} --api-model-name m --traffic-scenario 'D(10,3)' --max-requests-per-run 5"
CALLS = {
    "run_sync": "found = bk.run_sync(config)",
    "run": "found = await bk.run(config)",
    "preflight": "found = bk.preflight(config.endpoint)",
    "calibrate": "found = bk.calibrate(config, ttft_ms=10, itl_ms=1)",
    "compare_endpoints_sync": "found = bk.compare_endpoints_sync(config, config, pairs=2, block_requests=8)",
    "genai_bench": "%load_ext basetenkit\n%genai_bench benchmark {magic} --num-concurrency 1",
}
LOST = ("cannot enter context", "never awaited", "was destroyed", "Traceback")


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=20, itl_ms=2) as server:
        yield server


def run_all(cells: list[str], seconds: float = 240) -> tuple[list[str | None], str, str]:
    """(how each cell ended or None, the text on stdout, on stderr) of cells that are sent at once."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=90, stderr=subprocess.DEVNULL)
    try:
        ids = [client.execute(cell) for cell in cells]
        ends: dict[str, str] = {}
        until = time.monotonic() + seconds
        while len(ends) < len(ids) and time.monotonic() < until:
            try:
                message = client.get_shell_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") in ids:
                ends[message["parent_header"]["msg_id"]] = message["content"]["status"]
        streams = {"stdout": "", "stderr": ""}
        try:
            while True:
                message = client.get_iopub_msg(timeout=1)
                if message["msg_type"] == "stream":
                    streams[message["content"]["name"]] += message["content"]["text"]
        except queue.Empty:
            pass
        return [ends.get(one) for one in ids], streams["stdout"], streams["stderr"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.mark.parametrize("name", CALLS)
def test_no_cell_behind_a_call_that_waits_is_lost(server: Any, name: str) -> None:
    call = CALLS[name].format(magic=MAGIC.format(url=server.url))
    cells = [
        BEGIN.format(url=server.url),
        call,
        "print('third')",
        "import asyncio; await asyncio.sleep(0.05); print('last')",
    ]
    ends, out, err = run_all(cells)
    assert ends == ["ok"] * 4, err
    assert out.endswith("third\nlast\n")
    assert not [words for words in LOST if words in err]


def code_of(path: Path) -> list[str]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


WAITING_NOTEBOOKS = [p for p in sorted(NOTEBOOKS.glob("*.ipynb")) if any(w in "\n".join(code_of(p)) for w in WAITING)]
SMALL = {
    "levels": "[2, 4]", "max_requests": 12, "output_tokens": 5, "pairs": 2, "block_seconds": 0.3, "seconds": 2, "minutes": 0.1,
}  # fmt: skip


def smaller(parameters: str) -> str:
    """A notebook's parameters, those of its load as small as a test needs them."""
    given = {line.partition("=")[0].split(":")[0].strip() for line in parameters.splitlines()}
    return "\n".join([parameters, *(f"{name} = {value!r}" for name, value in SMALL.items() if name in given)])


@pytest.mark.thorough
@pytest.mark.parametrize("path", WAITING_NOTEBOOKS, ids=lambda p: p.stem)
def test_run_all_runs_every_cell_of_a_notebook(path: Path, tmp_path: Path) -> None:
    first, *others = code_of(path)
    ends, _, err = run_all([f"%cd -q {tmp_path}\n{smaller(first)}", *others], 280)
    assert ends == ["ok"] * (1 + len(others)), err
    assert not [words for words in LOST if words in err]


def test_there_are_notebooks_that_wait() -> None:
    assert [p.stem for p in WAITING_NOTEBOOKS if p.stem.startswith("06")]


def test_keep_loop_is_refused_in_a_notebook_and_loses_no_cell(server: Any) -> None:
    call = "try:\n    bk.run_sync(config, keep_loop=True)\nexcept ValueError as error:\n    print(error)"
    ends, out, _ = run_all([BEGIN.format(url=server.url), call, "print('third')"])
    assert ends == ["ok"] * 3
    assert "would lose the cells that wait in this notebook's queue" in out
    assert out.endswith("third\n")

"""However a run is stopped from outside, the finished requests are a whole Run, and those in flight are `cancelled`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import basetenkit as bk

from ..browser.lab import jupyter_lab

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

LONG = 'scenarios="D(10,400)", concurrency=3, max_requests=100000'
SETUP = """
import basetenkit as bk, basetenkit.session
basetenkit.session._last.clear()
config = bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint(url={url!r}, model="m"), {long})
"""
TELL = """
import json
run = bk.last_run()
print(json.dumps([run.complete, dict(run.requests["outcome"].value_counts().iter_rows()), run.requests["end_s"].null_count()]))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=10, itl_ms=1) as server:
        yield server


class Cells:
    """A real kernel and what its cells say."""

    def __init__(self) -> None:
        from jupyter_client.manager import KernelManager

        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client: BlockingKernelClient = self._connect()

    def _connect(self) -> BlockingKernelClient:
        client = self.manager.blocking_client()
        client.hb_channel.time_to_dead = 60.0  # a busy machine does not mean a dead kernel
        client.start_channels()
        client.wait_for_ready(timeout=60)
        return client

    def begin(self, code: str) -> str:
        return str(self.client.execute(code))

    def reply(self, message: str) -> dict[str, Any]:
        while True:
            reply = self.client.get_shell_msg(timeout=60)
            if reply["parent_header"].get("msg_id") == message:
                return dict(reply["content"])

    def said(self, code: str) -> str:
        """What a cell prints."""
        out: list[str] = []

        def hear(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                out.append(message["content"]["text"])

        for _ in range(3):  # a kernel drops what came while it handled an interrupt
            reply = self.client.execute_interactive(code, timeout=60, output_hook=hear)
            if reply["content"]["status"] != "aborted":
                break
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(out)

    def another_window(self) -> None:
        """As if the browser's tab was closed, and the notebook opened again."""
        self.client.stop_channels()
        self.client = self._connect()


@pytest.fixture(scope="module")
def cells() -> Iterator[Cells]:
    cells = Cells()
    yield cells
    cells.client.stop_channels()
    cells.manager.shutdown_kernel(now=True)


def whole_and_cancelled(complete: bool, outcomes: dict[str, int], without_end: int) -> None:
    assert not complete
    assert outcomes.keys() == {"ok", "cancelled"}
    assert outcomes["cancelled"] == 3
    assert without_end == 0


def busy(server: Any, since: int) -> None:
    """Waits until the endpoint has answered a few of the requests that came after `since`."""
    until = time.monotonic() + 60
    while len([r for r in server.truth()["requests"] if r["received_ns"] > since and r.get("last_write_ns")]) < 8:
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("call", ["run = await bk.run(config)", "run = bk.run_sync(config)"])
def test_an_interrupted_cell_keeps_the_run(server: Any, cells: Cells, call: str) -> None:
    cells.said(SETUP.format(url=server.url, long=LONG))
    since = time.monotonic_ns()
    message = cells.begin(call)
    busy(server, since)
    cells.manager.interrupt_kernel()
    assert cells.reply(message)["status"] == "error"
    whole_and_cancelled(*json.loads(cells.said(TELL)))


def test_a_closed_window_ends_nothing(server: Any, cells: Cells) -> None:
    cells.said(SETUP.format(url=server.url, long=LONG))
    since = time.monotonic_ns()
    cells.said("live = bk.start(config)")
    busy(server, since)
    cells.another_window()
    assert json.loads(cells.said('print(live.progress["in_flight"])')) == 3
    cells.said("live.stop(); run = live.result(30)")
    whole_and_cancelled(*json.loads(cells.said(TELL)))


def facts(run: bk.Run) -> tuple[bool, dict[str, int], int]:
    outcomes = dict(run.requests["outcome"].value_counts().iter_rows())
    return run.complete, outcomes, run.requests["end_s"].null_count()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_script_that_is_told_to_end_leaves_a_whole_run(server: Any, tmp_path: Path, number: int) -> None:
    code = SETUP.format(url=server.url, long=LONG) + f"bk.run_sync(config, save_to={str(tmp_path / 'r')!r})"
    since = time.monotonic_ns()
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    busy(server, since)
    process.send_signal(number)
    assert process.wait(30) == -number  # the signal goes on after the save
    whole_and_cancelled(*facts(bk.load(tmp_path / "r")))


def children(pid: int) -> list[int]:
    task = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in task.read_text().split()]


@pytest.mark.parametrize(
    ("number", "all_of_it"),
    [(signal.SIGTERM, True), (signal.SIGTERM, False), (signal.SIGKILL, False)],
    ids=["told, and its kernel", "told alone", "killed alone"],
)
def test_papermill_ended(server: Any, tmp_path: Path, number: int, all_of_it: bool) -> None:
    """By a service manager, kernel and all, or alone: its kernel ends with it, and leaves a whole Run."""
    import nbformat

    code = SETUP.format(url=server.url, long=LONG) + f"run = await bk.run(config, save_to={str(tmp_path / 'r')!r})"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "in.ipynb", "out.ipynb"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("r/levels/000/requests-*")):
        assert process.poll() is None
        time.sleep(0.05)
    kernels = children(process.pid)
    for pid in [*kernels, process.pid] if all_of_it else [process.pid]:
        os.kill(pid, number)
    process.wait(60)
    until = time.monotonic() + 30
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in kernels):
        assert time.monotonic() < until, "the kernel outlives papermill"
        time.sleep(0.05)
    whole_and_cancelled(*facts(bk.load(tmp_path / "r")))


def test_a_script_that_comes_to_its_end_and_does_not_wait_leaves_a_whole_run(server: Any, tmp_path: Path) -> None:
    code = SETUP.format(url=server.url, long=LONG) + f"live = bk.start(config, save_to={str(tmp_path / 'r')!r})\n"
    code += "import time\nwhile live.progress['finished'] < 8: time.sleep(0.05)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    whole_and_cancelled(*facts(bk.load(tmp_path / "r")))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["told", "killed"])
def test_jupyterlab_ended(server: Any, tmp_path: Path, number: int) -> None:
    """Its notebook's kernel ends with it, and leaves a whole Run."""
    code = SETUP.format(url=server.url, long=LONG) + f"live = bk.start(config, save_to={str(tmp_path / 'r')!r})"
    from jupyter_client.blocking.client import BlockingKernelClient

    with jupyter_lab(tmp_path) as address:
        started = httpx.post(f"{address}/api/kernels", json={"name": "python3"}, timeout=60).raise_for_status().json()
        client = BlockingKernelClient()
        client.load_connection_file(str(next(tmp_path.rglob(f"kernel-{started['id']}.json"))))
        client.hb_channel.time_to_dead = 60.0  # a busy machine does not mean a dead kernel
        client.start_channels()
        client.wait_for_ready(timeout=60)
        client.execute(code)
        while not list(tmp_path.glob("r/levels/000/requests-*")):
            time.sleep(0.05)
        client.stop_channels()
        (lab,) = [pid for pid in children(os.getpid()) if b"jupyterlab" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        kernels = children(lab)
        assert kernels
        os.kill(lab, number)
        until = time.monotonic() + 30
        while any(Path(f"/proc/{pid}/cmdline").exists() for pid in kernels):
            assert time.monotonic() < until, "the kernel outlives JupyterLab"
            time.sleep(0.05)
    whole_and_cancelled(*facts(bk.load(tmp_path / "r")))


def test_stop_and_a_deadline_mark_what_was_in_flight(server: Any) -> None:
    def config(**kw: Any) -> bk.RunConfig:
        fields: dict[str, Any] = {"scenarios": "D(10,400)", "concurrency": 3, "max_requests": 100_000}
        return bk.RunConfig(
            steady=False, preflight=False, endpoint=bk.Endpoint(url=server.url, model="m"), **(fields | kw)
        )

    since = time.monotonic_ns()
    live = bk.start(config())
    busy(server, since)
    live.stop()
    whole_and_cancelled(*facts(live.result(30)))
    level = bk.run_sync(config(max_seconds=2.0))  # a deadline ends a level: it is done, but the plan is not complete
    assert level.metadata["levels"][0]["done"]
    assert not level.complete
    assert facts(level)[1]["cancelled"] == 3

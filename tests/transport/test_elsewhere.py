"""A process as it is where there is no recvmsg, no epoll, no TCP_INFO and no fcntl: the same run, with wider bounds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import basetenkit as bk

# Before anything is imported: what Python lacks on Windows, less what it has there instead.
ELSEWHERE = """
import select, selectors, socket, subprocess, sys, types

class Socket(socket.socket):
    recvmsg = recvmsg_into = property()  # hasattr says no

    def getsockopt(self, level, name, *size):
        if size:
            raise OSError("no such option")
        return super().getsockopt(level, name)

socket.socket = Socket
selectors.DefaultSelector = selectors.SelectSelector
del select.epoll
locks = types.ModuleType("msvcrt")
locks.LK_NBLCK, locks.locking = 2, lambda handle, mode, size: None
sys.modules |= {"fcntl": None, "msvcrt": locks}
"""

CODE = """
import json, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import basetenkit as bk
    endpoint = bk.Endpoint(url=sys.argv[1], model="m")
    config = bk.RunConfig(steady=False,
    preflight=False, endpoint=endpoint, scenarios="D(20,12)", concurrency=4, max_requests=12, capture="all")
    run = bk.run_sync(config, save_to=sys.argv[2])
    again = bk.load(sys.argv[2])
rows = again.requests
chunks = again.chunks.collect()
print(json.dumps({
    "outcomes": rows["outcome"].to_list(), "clock": rows["clock"].to_list(), "rtt": rows["rtt_s"].null_count(),
    "sent": {i: again.exchange(i).sent_ns for i in again.captured},
    "chunks": chunks.select("request_id", "arrival_s", "error_s").rows(),
    "said": [str(w.message) for w in said if "kernel" in str(w.message)], "findings": [f.code for f in run.findings],
}))
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("elsewhere")
    with bk.emulator.serve(ttft_ms=20, itl_ms=5) as server:
        command = [sys.executable, "-c", ELSEWHERE + CODE, server.url, str(folder / "run")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        truth = server.truth(writes=True)["requests"]
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1]) | {"truth": truth}


def test_every_request_is_a_row_timed_by_the_process(elsewhere: Any) -> None:
    assert elsewhere["outcomes"] == ["ok"] * 12
    assert set(elsewhere["clock"]) == {"user"}
    assert elsewhere["rtt"] == 12
    assert "clock_user" in elsewhere["findings"]


def test_the_limits_are_said_before_the_start(elsewhere: Any) -> None:
    (said,) = elsewhere["said"]
    assert "there are no OS receive timestamps in this process" in said
    assert "workers=1" in said


def test_every_token_came_within_the_bound_that_is_stated(elsewhere: Any) -> None:
    writes = {request["request_id"]: request["writes"] for request in elsewhere["truth"]}
    assert len(elsewhere["chunks"]) == 12 * 12
    for request_id, arrival, error in elsewhere["chunks"]:
        at = elsewhere["sent"][request_id] + arrival * 1e9
        low, high = at - error * 1e9 - 100_000, at + 100_000
        assert any(before <= high and after >= low for before, after in writes[request_id]), (arrival, error)
        assert error > 0

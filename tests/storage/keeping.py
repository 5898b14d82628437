"""What must hold of runs in any store, performed at an address: `whole` and `killed`. The environment has the credentials."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.storage.bucket import Bucket

STAGES = ("run.json", "levels/000/requests-0", "levels/000/requests-whole", "levels/001/")
CHILD = """
import sys
import basetenkit as bk
from basetenkit.storage import mirror
mirror.EVERY_S = 0.3
if __name__ == "__main__":
    config = bk.RunConfig(
        endpoint=bk.Endpoint(url=sys.argv[1], model="m"), scenarios="D(20,5)", concurrency=[1, 2], max_requests=150,
        steady=False, preflight=False,
    )
    live = bk.start(config, save_to=sys.argv[2])
    print("begun", flush=True)
    live.result()
    print("ended", flush=True)
"""


def config(server: Any, **kw: Any) -> bk.RunConfig:
    fields: dict[str, Any] = {"scenarios": "D(20,5)", "concurrency": [1, 2], "max_requests": 20, "steady": False}
    return bk.RunConfig(preflight=False, endpoint=bk.Endpoint(url=server.url, model="m"), **(fields | kw))


def names(url: str) -> list[str]:
    """The objects below an address."""
    return sorted(one.name for one in Bucket(bk.Storage(url)).listed())


def whole(root: str, server: Any, folder: Path) -> None:
    """A run goes to a store, is loaded, compared, reported and copied; the same call sends nothing again, and a second writer is
    refused."""
    url = f"{root}/first"
    run = bk.run_sync(config(server, capture="all"), save_to=url)
    assert run.complete
    assert run.findings == bk.load(url).findings
    kept = names(url)
    assert "run.json" in kept
    assert "lock" not in kept
    again = bk.load(url)
    assert again.requests.equals(run.requests)
    assert again.chunks.collect().equals(run.chunks.collect())
    assert again.exchanges()
    before = len(server.truth()["requests"])
    assert bk.run_sync(config(server, capture="all"), save_to=url).requests.equals(run.requests)
    assert len(server.truth()["requests"]) == before
    run.save(f"{root}/second")
    assert bk.compare(url, f"{root}/second").frame.height
    assert bk.check_gates(run, baseline=url, history=root).gates
    bk.report(url, folder / "report.html")
    assert (folder / "report.html").stat().st_size > 10_000
    found = bk.history(root).select("run", "level", "complete", "ttft_s_p50").collect()
    assert found["run"].to_list() == [f"{root}/{name}" for name in ("first", "first", "second", "second")]
    assert found["complete"].all()
    assert found["ttft_s_p50"].null_count() == 0
    live = bk.start(config(server, max_requests=100_000), save_to=f"{root}/third")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BASETENKIT_SPOOL", str(folder / "elsewhere"))
            with pytest.raises(bk.errors.StoreError, match=f"another run is writing to {root}/third: .*last seen"):
                bk.start(config(server, max_requests=100_000), save_to=f"{root}/third")
    finally:
        live.stop()
        live.result(60)
    with pytest.raises(bk.errors.StoreError, match="there is no run in"):
        bk.load(f"{root}/nothing")


def killed(url: str, server: Any, stage: str, patch: pytest.MonkeyPatch, folder: Path, elsewhere: bool) -> None:
    """A run whose process is killed as soon as an object `stage...` is in the store: the rest loads and names
    what it lacks, and the same call goes on with it, here or on another machine."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, server.url, url], stdout=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 120
        while not any(name.startswith(stage) for name in names(url)) and child.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
    finally:
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    left = bk.load(url)
    assert not left.complete or stage == "levels/001/"
    if not left.complete:
        assert any("level(s) are not done" in str(one) for one in left.findings)
    done = {level.level for level in left.manifest.levels if level.done}
    rows = left.requests.filter(pl.col("level").is_in(done) & (pl.col("phase") != "preflight"))
    if stage == "levels/001/":
        assert 1.0 in done
    patch.setattr("basetenkit.storage.lock.LEASE_S", 0.0)
    if elsewhere:
        patch.setenv("BASETENKIT_SPOOL", str(folder / "another machine"))
    run = bk.run_sync(config(server, max_requests=150), save_to=url)
    assert run.complete
    assert run.manifest.metadata.salt == left.manifest.metadata.salt
    kept = run.requests.filter(pl.col("request_id").is_in(rows["request_id"].implode()))
    assert kept.height == rows.height
    again = bk.load(url)
    assert again.complete
    assert again.requests.equals(run.requests)
    planned = again.requests.filter(pl.col("phase") == "measured")
    assert planned.height == 300
    assert planned["request_id"].n_unique() == 300

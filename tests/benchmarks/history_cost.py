"""What a history over many runs costs in a bucket, beside the same runs in a folder: `python -m tests.benchmarks.history_cost`.

The store is that of our tests, in its own process on this machine. A real one is farther away, and slower per request.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import basetenkit as bk
from basetenkit.storage.bucket import Bucket

SERVER = """
import sys
from tests.storage.bucket_server import bucket_server
with bucket_server() as store:
    print(store.url, flush=True)
    sys.stdin.read()
"""


def one_run(root: Path) -> Path:
    with bk.emulator.serve(ttft_ms=2, itl_ms=0.2) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        bk.run_sync(bk.RunConfig(endpoint=endpoint, scenarios="D(20,5)", concurrency=4, max_requests=300), save_to=root)
    return root


def copies(run: Path, root: Path, n: int) -> None:
    document = json.loads((run / "run.json").read_text())
    for number in range(n):
        shutil.copytree(run, root / f"r{number:05d}", ignore=shutil.ignore_patterns("lock"))
        document["metadata"]["started_at"] += 60
        (root / f"r{number:05d}" / "run.json").write_text(json.dumps(document))


def upload(root: Path, url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    bucket, files = Bucket(bk.Storage(url)), [file for file in root.rglob("*") if file.is_file()]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda file: bucket.put(file.relative_to(root).as_posix(), file), files))


def seconds(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=1000)
    n = options.parse_args().runs
    with tempfile.TemporaryDirectory() as away:
        root = Path(away) / "all"
        copies(one_run(Path(away) / "one"), root, n)
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        given = {"ENDPOINT_URL": url, "ACCESS_KEY_ID": "GOODKEYID", "SECRET_ACCESS_KEY": "x", "REGION": "us-east-1"}
        os.environ.update({f"AWS_{name}": value for name, value in given.items()})
        upload(root, "s3://bkt/all")
        for title, columns in (("what run.json says", ["run", "model"]), ("with figures", ["run", "ttft_s_p50"])):
            here = seconds(lambda names=columns: bk.history(root).select(names).collect())  # type: ignore[misc]
            there = seconds(lambda names=columns: bk.history("s3://bkt/all").select(names).collect())  # type: ignore[misc]
            print(f"{n} runs, {title}: folder {here:.1f} s, bucket {there:.1f} s, ratio {there / here:.2f}", flush=True)
        server.communicate("")


if __name__ == "__main__":
    main()

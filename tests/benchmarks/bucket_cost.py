"""What saving to a bucket costs the load, beside saving to a folder: `python -m tests.benchmarks.bucket_cost`.

Both runs send the same load to an embedded endpoint in another process, which notes when each request came and when each token
was written. The store is that of our tests, in another process on this machine. In turns, each run in a new process. It prints
for each run: TTFT p50 and p99 less those of the truth, ms; CPU per token of the whole process from the start of the run, us; how
long the call took before and after the load, s. Last the medians: CPU per token with a bucket over that with a folder, and both
p99. The store and the endpoint use the same processors, so a machine of few cores makes it look worse than it is.

`--ratio R` fails if the CPU ratio is above R, `--off MS` if the TTFT p99 with a bucket is further off than that.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import basetenkit as bk

from .at_load import TOKENS, Figures, percentile
from .history_cost import SERVER

RUN = """
import json, resource, sys, time
import altair, ipywidgets, obstore, polars
import basetenkit as bk
url, users, requests, place = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
bk.run_sync, bk.RunConfig
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
before, began = cpu(), time.monotonic()
endpoint = bk.Endpoint(url=url, model="m", auth_scheme="none")
config = bk.RunConfig(steady=False,
    preflight=False, endpoint=endpoint, scenarios="D(100,100)", concurrency=users, max_requests=requests)
run = bk.run_sync(config, save_to=place)
took, spent = time.monotonic() - began, cpu() - before
rows = run.requests
ok = rows.filter(polars.col("outcome") == "ok")
print(json.dumps({
    "ttft": ok["ttft_s"].to_list(), "sent": rows.height, "cpu_s": spent, "tokens": ok["output_chunks"].sum(),
    "beside_s": took - (rows["end_s"].max() - rows["sent_s"].min()), "findings": [one.code for one in run.findings],
}))
"""


def turn(place: str, users: int, requests: int) -> Figures:
    with bk.emulator.serve(ttft_ms=50, itl_ms=20, output_tokens=TOKENS, role_frame=True, tail_ms=5) as server:
        line = [sys.executable, "-c", RUN, server.url, str(users), str(requests), place]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"the run to {place} failed:\n{done.stderr[-2000:]}")
        said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        true = [r for r in server.truth()["requests"] if r["last_write_ns"]]
    really = [(r["first_write_ns"][0] - r["received_ns"]) / 1e6 for r in true]
    ours = [seconds * 1e3 for seconds in said["ttft"]]
    row: Figures = {"saved to": place.partition(":")[0] if "://" in place else "folder", "requests": said["sent"]}
    row |= {f"TTFT p{p} off": percentile(ours, p) - percentile(really, p) for p in (50, 99)}
    row |= {"us a token": said["cpu_s"] / said["tokens"] * 1e6, "beside s": said["beside_s"]}
    return row | {"failed": said["sent"] - len(ours), "not uploaded": "not_uploaded" in said["findings"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--each", type=int, default=8, help="requests for each one in flight")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--ratio", type=float, default=float("inf"))
    parser.add_argument("--off", type=float, default=float("inf"))
    options = parser.parse_args()
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    given = {"ENDPOINT_URL": url, "ACCESS_KEY_ID": "GOODKEYID", "SECRET_ACCESS_KEY": "x", "REGION": "us-east-1"}
    os.environ.update({f"AWS_{name}": value for name, value in given.items()})
    rows: list[Figures] = []
    with tempfile.TemporaryDirectory() as away:
        os.environ["BASETENKIT_SPOOL"] = str(Path(away, "spool"))
        for number in range(options.turns):
            for root in (away, "s3://bkt"):
                rows.append(turn(f"{root}/r{number}", options.in_flight, options.in_flight * options.each))
                print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()))
    server.communicate("")
    cost = statistics.median(b["us a token"] / a["us a token"] for a, b in zip(rows[::2], rows[1::2], strict=True))
    here, there = (statistics.median(abs(row["TTFT p99 off"]) for row in some) for some in (rows[::2], rows[1::2]))
    print(f"CPU ratio {cost:.2f}, TTFT p99 off {here:.3f} ms to a folder, {there:.3f} ms to a bucket")
    if cost > options.ratio or there > options.off or any(row["failed"] or row["not uploaded"] for row in rows):
        raise SystemExit("beyond the limits, or with failures")


if __name__ == "__main__":
    main()

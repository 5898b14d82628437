"""The share of a core that the live view takes while a run goes on: `python tests/benchmarks/live_cost.py`.

A real kernel is started, and in it a run at 64 in flight is followed by the form's live view, messages to the front end and
all. Two clocks of CPU time are read within that one run: that of the notebook kernel's main thread, which only shows, and
that of the thread that makes the figures. Their sum over the run's length is the share; what the engine takes on its own
thread is printed beside it. `--share S` fails where the view takes more. Last: the seconds from Stop to the end of a run
whose requests are all in flight.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from jupyter_client.manager import start_new_kernel

SETUP = """
import asyncio, json, time
import basetenkit as bk
from basetenkit.notebook.live.live import LiveView
server = bk.emulator.serve(ttft_ms=60, itl_ms=5, jitter=0.2)
slow = bk.emulator.serve(ttft_ms=60_000)
endpoint, view = bk.Endpoint(url=server.url), LiveView()
await view.follow(bk.start(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, concurrency=[2], max_requests=8)))
view.spent_s = 0.0
"""
FOLLOW = """
config = bk.RunConfig(steady=False,
    preflight=False, endpoint=endpoint, concurrency=[{in_flight}], max_requests=10**6, max_seconds={seconds})
live = bk.start(config)
shown, all_of_it, began = time.thread_time(), time.process_time(), time.monotonic()
await view.follow(live)
took = time.monotonic() - began
shown, all_of_it = time.thread_time() - shown, time.process_time() - all_of_it
print(json.dumps(dict(rows=live.result().requests.height, seconds=took, shown=shown, figures=view.spent_s, all=all_of_it)))
"""
STOP = """
live = bk.start(config.model_copy(update={"endpoint": bk.Endpoint(url=slow.url)}))
while live.progress["in_flight"] < config.concurrency[0]:
    await asyncio.sleep(0.05)
began = time.monotonic()
live.stop()
await live
print(json.dumps(dict(stop=time.monotonic() - began)))
"""


def run_cell(client: Any, code: str) -> str:
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            said.append(message["content"]["text"])
        elif message["msg_type"] == "error":
            raise SystemExit("\n".join(message["content"]["traceback"]))

    client.execute_interactive(code, output_hook=hear, timeout=600)
    return "".join(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--share", type=float, default=0.02)
    options = parser.parse_args()
    manager, client = start_new_kernel()
    try:
        run_cell(client, SETUP)
        found = json.loads(run_cell(client, FOLLOW.format(in_flight=options.in_flight, seconds=options.seconds)))
        stop = json.loads(run_cell(client, STOP))["stop"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    view = found["shown"] + found["figures"]
    share, rest = view / found["seconds"], (found["all"] - view) / found["seconds"]
    print(f"{found['rows']:,} requests in {found['seconds']:.1f} s at {options.in_flight} in flight")
    print(
        f"view: {share:.2%} of a core (shown {found['shown']:.2f} s, figures {found['figures']:.2f} s); the rest: {rest:.1%}"
    )
    print(f"stop: {stop:.2f} s until {options.in_flight} requests in flight were rows")
    if share > options.share:
        raise SystemExit(f"the view takes {share:.2%} of a core; at most {options.share:.0%} was asked for")


if __name__ == "__main__":
    main()

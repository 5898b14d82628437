"""The truth at load, and what it costs: `python tests/benchmarks/at_load.py --in-flight 256 1024`.

Each level sends streamed chats (100 tokens in, 100 out) to an embedded endpoint in its own process that notes when each
request came and each token was written: a role frame at once, the first token after 50 ms, one each 20 ms, finish reason and
usage 5 ms after the last. Twice in turn, each in its own process: by the least that a Python client can do (a bare
socket, the OS kernel's stamps, httptools, one JSON document per token), and by `bk.run_sync` with polars, altair and ipywidgets
loaded. It prints for each: p50 and p99 less those of the truth, ms; CPU per token; for ours also the outcomes of the
requests, the part of late E2E figures that is outside its own stated bound, and the time before and after the load, s.
"cost" is our CPU over the other's, the median of all turns. The endpoint has the same two processors.

`--tls` does it over TLS. `--ratio R` fails where "cost" is above R, `--off MS` where our TTFT p99 is further off in the median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

TOKENS, STAMPS = 100, 35  # SO_TIMESTAMPNS
Figures = dict[str, Any]

OURS = """
import json, resource, sys, time
import altair, ipywidgets, polars
import basetenkit as bk
url, users, requests, ca = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] or True
bk.run_sync, bk.RunConfig
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
before, began = cpu(), time.monotonic()
endpoint = bk.Endpoint(url=url, model="m", auth_scheme="none", verify=ca)
config = bk.RunConfig(steady=False,
    preflight=False, endpoint=endpoint, scenarios="D(100,100)", concurrency=users, max_requests=requests)
run = bk.run_sync(config)
took, spent = time.monotonic() - began, cpu() - before
rows = run.requests
ok = rows.filter(polars.col("outcome") == "ok")
print(json.dumps({
    "rows": {i: [t, e, b] for i, t, e, b in ok.select("request_id", "ttft_s", "e2e_s", "e2e_error_s").iter_rows()},
    "outcomes": dict(rows["outcome"].value_counts().iter_rows()), "cpu_s": spent, "tokens": ok["output_chunks"].sum(),
    "beside_s": took - (rows["end_s"].max() - rows["sent_s"].min()),
}))
"""


class Least:
    """One connection of the least client: bytes with their stamps, read into events when the response is over."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        import httptools

        self._sock, self._parse, self._tls = sock, httptools.HttpResponseParser, None
        if tls is not None:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = tls.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray(1 << 16)
        self._plain = True

    async def open(self) -> None:
        while self._tls is not None:
            try:
                self._tls.do_handshake()
                await self._loop.sock_sendall(self._sock, self._out.read())
                break
            except ssl.SSLWantReadError:
                await self._loop.sock_sendall(self._sock, self._out.read())
                self._in.write(await self._loop.sock_recv(self._sock, 1 << 16))
        self._loop.add_reader(self._sock.fileno(), self._readable)

    def send(self, payload: bytes) -> asyncio.Future[None]:
        self._parser, self.body = self._parse(self), bytearray()
        self.reads: list[tuple[int, int]] = []  # (when in ns, bytes of the body by then)
        self._done = self._loop.create_future()
        if self._tls is not None:
            self._tls.write(payload)
            payload = self._out.read()
        self.sent = time.monotonic_ns()
        self._sock.send(payload)
        return self._done

    def _readable(self) -> None:
        n, ancillary, _, _ = self._sock.recvmsg_into((self._buffer,), 64)
        seconds, ns = struct.unpack("qq", ancillary[0][2])
        data: Any = memoryview(self._buffer)[:n]
        if self._tls is not None:
            self._in.write(data)
            data = b""
            try:
                while True:
                    data += self._tls.read(1 << 16)
            except ssl.SSLWantReadError:
                pass
        if data:
            self._parser.feed_data(data)
        self.reads.append((seconds * 1_000_000_000 + ns, len(self.body)))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self._done.set_result(None)


def arrivals(client: Least, offset: int) -> list[int]:
    """When each output event came, ns since the send."""
    import orjson

    out, start, i, reads = [], 0, 0, client.reads
    while (end := client.body.find(b"\n\n", start)) >= 0:
        data, start = bytes(client.body[start + 6 : end]), end + 2
        if data == b"[DONE]":
            break
        choices = orjson.loads(data)["choices"]
        if choices and choices[0]["delta"].get("content"):
            while reads[i][1] < start:
                i += 1
            out.append(reads[i][0] - offset - client.sent)
    return out


async def least(url: str, users: int, requests: int, ca: str) -> Figures:
    """The whole of the least client."""
    from basetenkit.transport.clock import measure_offset

    at, loop = urlsplit(url), asyncio.get_running_loop()
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello " * 100}]})
    lines = [f"POST {at.path} HTTP/1.1", f"host: {at.netloc}", "content-type: application/json"]
    head = "\r\n".join([*lines, f"content-length: {len(body)}", "", body]).encode()
    offset = measure_offset()
    context = ssl.create_default_context(cafile=ca) if ca else None
    left, rows = requests, []

    async def user() -> None:
        nonlocal left
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, STAMPS, 1)
        await loop.sock_connect(sock, (at.hostname, at.port))
        client = Least(sock, context)
        await client.open()
        while left > 0:
            left -= 1
            await client.send(head)
            rows.append(arrivals(client, offset))

    await asyncio.gather(*(user() for _ in range(users)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "ttft": [row[0] / 1e6 for row in rows],
        "e2e": [row[-1] / 1e6 for row in rows],
        "cpu_s": used.ru_utime + used.ru_stime,
        "tokens": sum(map(len, rows)),
    }


def percentile(values: list[float], p: float) -> float:
    return sorted(values)[min(len(values) - 1, int(p / 100 * len(values)))]


def turn(who: str, users: int, requests: int, tls: bool) -> Figures:
    """One client against its own endpoint: its figures less the truth's."""
    import basetenkit as bk

    options: dict[str, Any] = {"ttft_ms": 50, "itl_ms": 20, "output_tokens": TOKENS, "role_frame": True, "tail_ms": 5}
    with bk.emulator.serve(tls=tls, **options) as server:
        ca = str(server.ca_file or "")
        command = [__file__, "--least"] if who == "least" else ["-c", OURS]
        line = [sys.executable, *command, server.url, str(users), str(requests), ca]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{who} at {users} failed:\n{done.stderr[-2000:]}")
        said: Figures = json.loads(done.stdout.strip().splitlines()[-1])
        true = [r for r in server.truth()["requests"] if r["last_write_ns"]]
    row: Figures = {"client": who, "in flight": users, "requests": len(true)}
    for name, key in (("ttft", "first_write_ns"), ("e2e", "last_write_ns")):
        really = {r["request_id"]: (r[key][0] - r["received_ns"]) / 1e6 for r in true}
        ours = said.get("rows", {})
        figures = said[name] if not ours else [v[name == "e2e"] * 1e3 for v in ours.values()]
        for p in (50, 99):
            row[f"{name.upper()} p{p} off"] = percentile(figures, p) - percentile(list(really.values()), p)
        if ours and name == "e2e":
            outside = [i for i, (_, e, b) in ours.items() if e * 1e3 - really[i] > b * 1e3 + 1]
            row["late outside"] = len(outside) / len(ours)
    row["µs a token"] = said["cpu_s"] / said["tokens"] * 1e6
    if "outcomes" in said:
        row |= {"outcomes": said["outcomes"], "beside s": said["beside_s"]}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--each", type=int, default=4, help="requests for each one in flight")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--ratio", type=float, default=float("inf"))
    parser.add_argument("--off", type=float, default=float("inf"))
    options = parser.parse_args()
    failed = []
    for users in options.in_flight:
        rows = [
            turn(who, users, users * options.each, options.tls)
            for _ in range(options.turns)
            for who in ("least", "basetenkit")
        ]
        for row in rows:
            print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        pairs = zip(rows[1::2], rows[::2], strict=True)
        cost = statistics.median(ours["µs a token"] / other["µs a token"] for ours, other in pairs)
        off = statistics.median(abs(row["TTFT p99 off"]) for row in rows[1::2])
        print(f"in flight {users}: cost {cost:.2f}, TTFT p99 off {off:.3f} ms (medians of {options.turns})", flush=True)
        if cost > options.ratio or off > options.off or any(set(row["outcomes"]) != {"ok"} for row in rows[1::2]):
            failed.append(users)
    if failed:
        raise SystemExit(f"beyond the limits, or with failures, at {failed} in flight")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--least"]:
        print(json.dumps(asyncio.run(least(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))))
    else:
        main()

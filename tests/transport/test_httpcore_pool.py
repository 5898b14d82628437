"""Requests through a real proxy and over real HTTP/2: the same rows, the same outcomes, and bounds that hold."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError

from ..making import number
from ..real.servers import free_port

SLACK_S = 1e-4
pytestmark = pytest.mark.filterwarnings("ignore:there are no OS receive timestamps")


class Proxy:
    """Forwards what it is told to, and notes heads and when it handed bytes to its client: (before, after), s."""

    def __init__(self, refuse: bytes = b"") -> None:
        self.heads: list[bytes] = []
        self.writes: list[tuple[float, float]] = []
        self._refuse = refuse
        self._tasks: list[asyncio.Task[Any] | None] = []  # asyncio holds them weakly
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _serve(self) -> None:
        async def main() -> None:
            self._stop, self._loop = asyncio.Event(), asyncio.get_running_loop()
            async with await asyncio.start_server(self._client, "127.0.0.1", 0) as server:
                self.port = server.sockets[0].getsockname()[1]
                self._ready.set()
                await self._stop.wait()

        asyncio.run(main())  # cancels who is still connected

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.append(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                if self._refuse:
                    writer.write(self._refuse)
                    break
                method, target, _ = head.split(b" ", 2)
                if method == b"CONNECT":
                    host, _, port = target.decode().rpartition(":")
                    back, onward = await asyncio.open_connection(host, int(port))
                    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                    with contextlib.closing(onward):
                        await asyncio.gather(self._pump(reader, onward, False), self._pump(back, writer, True))
                    break
                await self._forward(head, target, reader, writer)

    async def _forward(
        self, head: bytes, target: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, path = target.removeprefix(b"http://").partition(b"/")
        name, _, port = host.decode().partition(":")
        back, onward = await asyncio.open_connection(name, int(port))
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        with contextlib.closing(onward):
            onward.write(head.replace(target, b"/" + path).replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            onward.write(await reader.readexactly(length))
            await self._pump(back, writer, True)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: bool) -> None:
        while data := await source.read(1 << 16):
            before = time.monotonic()
            sink.write(data)  # goes to the socket at once, as nothing waits before it
            if note:
                self.writes.append((before, time.monotonic()))
        if not note:
            with contextlib.suppress(OSError):
                sink.write_eof()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


def run(url: str, n: int = 6, **fields: Any) -> bk.Run:
    endpoint = bk.Endpoint(url=url, model="m", api_key="sk-secret-of-the-endpoint", **fields)
    return bk.run_sync(
        bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=endpoint,
            scenarios="D(20,8)",
            concurrency=2,
            max_requests=n,
            capture="all",
        )
    )


def test_a_forwarding_proxy_gives_the_same_rows_by_pythons_clock(proxy: Proxy) -> None:
    with bk.emulator.serve(ttft_ms=30, itl_ms=5) as server:
        got = run(server.url, proxy=f"http://127.0.0.1:{proxy.port}")
        heads = [head for head in proxy.heads if head.startswith(b"POST http://127.0.0.1")]
        truth = server.truth()["requests"]
    rows = got.requests
    assert rows["outcome"].to_list() == ["ok"] * 6
    assert set(rows["clock"]) == {"user"}
    assert rows["output_chunks"].to_list() == [8] * 6
    assert len(heads) == len(truth) == 6
    assert (rows["ttft_s"] >= 0.03).all()
    assert (rows["ttft_error_s"] > 0).all()
    assert (rows["sent_s"] >= rows["start_s"]).all()


def test_each_arrival_lies_within_the_bound_that_it_states(proxy: Proxy) -> None:
    with bk.emulator.serve(ttft_ms=30, itl_ms=15) as server:
        got = run(server.url, n=4, proxy=f"http://127.0.0.1:{proxy.port}")
    held = 0
    for request_id in got.captured:
        exchange = got.exchange(request_id)
        sent = (exchange.sent_ns or 0) / 1e9
        for at, error, _ in exchange.arrivals:
            low, high = sent + at - error - SLACK_S, sent + at + SLACK_S
            assert any(before <= high and after >= low for before, after in proxy.writes), (at, error)
            held += 1
    assert held >= 4 * 8


def test_a_tunnel_carries_tls_and_the_key_goes_through_it_alone(proxy: Proxy) -> None:
    with bk.emulator.serve(ttft_ms=10, itl_ms=2, tls=True) as server:
        got = run(server.url, proxy=f"http://user:pass-of-the-proxy@127.0.0.1:{proxy.port}", verify=server.ca_file)
    assert got.requests["outcome"].to_list() == ["ok"] * 6
    assert all(head.startswith(b"CONNECT 127.0.0.1:") for head in proxy.heads)
    login = base64.b64encode(b"user:pass-of-the-proxy")
    assert all(login in head and b"sk-secret" not in head for head in proxy.heads)
    assert got.requests["tls_s"].drop_nulls().len() == len(proxy.heads) <= 2


def test_the_proxys_password_is_in_nothing_that_is_kept_or_shown() -> None:
    endpoint = bk.Endpoint(url="http://127.0.0.1:1/", proxy="http://user:pass-of-the-proxy@proxy.example:3128")
    assert "pass-of" not in repr(endpoint) + endpoint.model_dump_json()
    assert endpoint.model_dump()["proxy"] == "http://proxy.example:3128"
    assert b"pass-of-the-proxy" in endpoint.secrets()


@pytest.mark.parametrize(
    ("scheme", "answer", "outcome", "words"),
    [
        (
            "https",
            b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            "connection_error",
            "407",
        ),
        ("http", b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\ndown", "http_error", "down"),
    ],
)
def test_a_proxy_that_refuses_is_a_row(scheme: str, answer: bytes, outcome: str, words: str) -> None:
    refusing = Proxy(answer)
    got = run(f"{scheme}://127.0.0.1:9/v1", n=2, proxy=f"http://127.0.0.1:{refusing.port}")
    refusing.close()
    assert got.requests["outcome"].to_list() == [outcome] * 2
    assert all(words in message for message in got.requests["error_message"])


def test_a_proxy_that_is_not_there_is_a_row() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    got = run("http://127.0.0.1:9/v1", n=2, proxy=f"http://127.0.0.1:{port}")
    assert got.requests["outcome"].to_list() == ["connection_error"] * 2
    assert all("through the proxy" in message for message in got.requests["error_message"])


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"first_byte_timeout_s": 0.3}, "first_byte_timeout_s"),
        ({"timeout_s": 0.3}, "timeout_s"),
    ],
)
def test_limits_hold_here_too(proxy: Proxy, limits: dict[str, float], words: str) -> None:
    with bk.emulator.serve(ttft_ms=5000, role_frame=False) as server:
        got = run(server.url, n=2, proxy=f"http://127.0.0.1:{proxy.port}", **limits)
    assert got.requests["outcome"].to_list() == ["timeout"] * 2
    assert all(words in message for message in got.requests["error_message"])


def test_a_stop_cancels_what_is_in_flight(proxy: Proxy) -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=2000) as server:
        endpoint = bk.Endpoint(url=server.url, model="m", proxy=f"http://127.0.0.1:{proxy.port}")
        live = bk.start(
            bk.RunConfig(
                steady=False, preflight=False, endpoint=endpoint, scenarios="D(20,8)", concurrency=2, max_requests=6
            )
        )
        while live.progress["sent"] < 2:
            time.sleep(0.02)
        time.sleep(0.3)
        live.stop("enough")
        got = live.result()
    assert got.requests["outcome"].to_list() == ["cancelled"] * 2


def wait_for_port(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)


@contextlib.contextmanager
def http2_server(folder: Path, writes: list[float]) -> Iterator[str]:
    """hypercorn, speaking HTTP/2 over TLS, before an application that streams eight words."""
    import trustme
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        protocol = scope["http_version"].encode()
        head = [(b"content-type", b"text/event-stream"), (b"x-spoken", protocol)]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        async for frame in frames():
            writes.append(time.monotonic())
            await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    config, stop, loop, port = Config(), asyncio.Event(), asyncio.new_event_loop(), free_port()
    config.bind = [f"127.0.0.1:{port}"]
    config.certfile = config.keyfile = str(folder / "server.pem")
    config.accesslog = config.errorlog = None
    work = serve(application, config, shutdown_trigger=stop.wait)
    thread = threading.Thread(target=lambda: (loop.run_until_complete(work), loop.close()), daemon=True)
    thread.start()
    try:
        wait_for_port(port)
        yield f"https://127.0.0.1:{port}/v1/chat/completions"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


async def frames() -> AsyncIterator[bytes]:
    for i in range(8):
        await asyncio.sleep(0.02)
        yield b'data: {"choices":[{"index":0,"delta":{"content":"w%d "},"finish_reason":null}]}\n\n' % i


def test_http2_carries_many_streams_on_one_connection_and_bounds_each_piece(tmp_path: Path) -> None:
    writes: list[float] = []
    with http2_server(tmp_path, writes) as url:
        endpoint = bk.Endpoint(url=url, model="m", http2=True, verify=str(tmp_path / "ca.pem"))
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=endpoint,
            scenarios="D(20,8)",
            concurrency=8,
            max_requests=24,
            capture="all",
        )
        got = bk.run_sync(config)
    rows = got.requests
    assert rows["outcome"].to_list() == ["ok"] * 24
    assert rows["output_chunks"].to_list() == [8] * 24
    assert set(rows["clock"]) == {"user"}
    assert rows["connect_s"].drop_nulls().len() <= 8
    for request_id in got.captured:
        exchange = got.exchange(request_id)
        assert ("x-spoken", "2") in exchange.headers
        arrivals = exchange.arrivals
        assert len(arrivals) in (8, 9)  # the end mark may come with the last word
        assert [at for at, _, _ in arrivals] == sorted(at for at, _, _ in arrivals)
        # Each word came after it was written, 20 ms after the one before, and its bound does not reach back to that one's.
        sent = (exchange.sent_ns or 0) / 1e9
        assert all(any(write <= sent + at + SLACK_S for write in writes) for at, _, _ in arrivals)
    errors = got.chunks.collect()["error_s"]
    # When the machine is busy, a bound holds the wait of the reader, too; one as wide as the answer would say nothing.
    assert number(errors.median()) < number(rows["e2e_s"].median()) / 2


def test_http2_without_its_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.machinery

    found = importlib.machinery.PathFinder.find_spec

    def without_h2(name: str, *rest: Any, **more: Any) -> Any:
        return None if name == "h2" else found(name, *rest, **more)

    monkeypatch.delitem(__import__("sys").modules, "h2", raising=False)
    monkeypatch.setattr(importlib.machinery.PathFinder, "find_spec", without_h2)
    with pytest.raises(ConfigError, match="needs the h2 package"):
        run("https://127.0.0.1:9/", http2=True)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"url": "http://127.0.0.1:9/", "http2": True}, "http2=True needs an https URL"),
        ({"url": "http://127.0.0.1:9/", "proxy": "socks5://127.0.0.1:1080"}, "an http:// or https:// URL of a proxy"),
    ],
)
def test_what_cannot_be_is_one_sentence(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        bk.Endpoint(**fields)

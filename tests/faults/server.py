"""A server that does everything wrong, one fault a request, and remembers what it did to which.

Each fault is what the bytes on the wire do, the outcome that a row must have, and words that its message must hold. The
answers run on tests/peer.py's threads: real sockets on 127.0.0.1, TLS with certificates made for it.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import trustme

from ..peer import HEAD, Peer, chunk, peer, reset

Answer = Callable[[socket.socket], bool | None]
GARBAGE = random.Random(7).randbytes(4000)
LINE = b"x" * (1 << 20)


def event(text: str) -> bytes:
    return chunk(b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n")


FINISH = chunk(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
DONE = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def whole(sock: socket.socket) -> None:
    sock.sendall(HEAD + event("one ") + event("two") + FINISH + DONE)


def slow(sock: socket.socket) -> None:
    sock.sendall(HEAD + event("one "))
    time.sleep(0.03)
    sock.sendall(FINISH + DONE)


def status(code: int, body: bytes, *headers: str, kind: str = "application/json") -> Answer:
    head = [f"HTTP/1.1 {code} x", f"content-type: {kind}", f"content-length: {len(body)}", *headers, "", ""]
    return lambda sock: sock.sendall("\r\n".join(head).encode() + body)


def then_reset(data: bytes) -> Answer:
    def answer(sock: socket.socket) -> bool:
        if data:
            sock.sendall(data)
            time.sleep(0.01)
        reset(sock)
        return False

    return answer


def then_close(data: bytes) -> Answer:
    def answer(sock: socket.socket) -> bool:
        sock.sendall(data)
        return False

    return answer


def then_silence(data: bytes) -> Answer:
    def answer(sock: socket.socket) -> bool:
        sock.sendall(data)
        sock.recv(1)  # until the other side has had enough
        return False

    return answer


def again(data: bytes, pause_s: float, first: bytes = HEAD) -> Answer:
    def answer(sock: socket.socket) -> None:
        sock.sendall(first)
        while True:
            sock.sendall(data)
            time.sleep(pause_s)

    return answer


def trickle(sock: socket.socket) -> None:
    for byte in HEAD + event("one ") + event("two") * 50:
        sock.sendall(bytes((byte,)))
        time.sleep(0.02)


def long_line(sock: socket.socket) -> None:
    """A gigabyte without a newline, or as much of it as the other side takes."""
    sock.sendall(HEAD + chunk(b"data: "))
    for _ in range(1024):
        sock.sendall(chunk(LINE))


@dataclass(frozen=True)
class Fault:
    """What a request meets; the outcome its row must have; words of its message (a regular expression)."""

    name: str
    answer: Answer
    outcome: str
    words: str


ERROR = b'{"error": {"message": "the engine fell over", "code": "internal"}}'
ERROR_EVENT = chunk(b"data: " + ERROR + b"\n\n")
FAULTS = [
    Fault("closed before the headers", then_close(b""), "connection_error", "without an answer"),
    Fault("reset before the headers", then_reset(b""), "connection_error", "before the response's head|without an answer"),
    Fault("reset within the headers", then_reset(b"HTTP/1.1 200 OK\r\ncontent-ty"), "connection_error", "head"),
    Fault("reset after the headers", then_reset(HEAD), "incomplete", "after 0 bytes"),
    Fault("reset in the stream", then_reset(HEAD + event("one ")), "incomplete", r"broke after \d+ bytes"),
    Fault("closed in the stream", then_close(HEAD + event("one ")), "incomplete", "not whole"),
    Fault("silence, no answer", then_silence(b""), "timeout", "timeout_s"),
    Fault("silence in the stream", then_silence(HEAD + event("one ")), "timeout", "timeout_s"),
    Fault("a byte at a time", trickle, "timeout", "timeout_s"),
    Fault("an endless stream", again(event("more "), 0.01), "timeout", "timeout_s"),
    Fault("429 with Retry-After", status(429, b'{"error": "slow down"}', "retry-after: 7"), "http_error", "Retry-After: 7 s"),
    Fault("500", status(500, ERROR), "http_error", "fell over"),
    Fault("503 without a body", status(503, b""), "http_error", "503"),
    Fault("502 with HTML", status(502, b"<html><h1>Bad Gateway</h1></html>", kind="text/html"), "http_error", "502|Bad Gateway"),
    Fault("200 with HTML", status(200, b"<html><body>Sign in</body></html>", kind="text/html"), "malformed", "a web page came"),
    Fault("short body", then_close(b'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"output": "x'), "incomplete", "not whole"),
    Fault("garbage for HTTP", then_close(GARBAGE), "malformed", "not HTTP"),
    Fault("garbage for a body", then_close(HEAD + GARBAGE), "malformed", "chunks"),
    Fault("an error in the stream", lambda s: s.sendall(HEAD + event("one ") + ERROR_EVENT + DONE), "api_error", "fell over"),
    Fault("an empty answer", lambda s: s.sendall(HEAD + DONE), "empty", "."),
    Fault("a line of a gigabyte", long_line, "malformed", "line of the stream is longer than 64 MiB"),
]  # fmt: skip
WHOLE = Fault("", whole, "ok", "")
SLOW = Fault("answered in two parts", slow, "ok", "")
BY_NAME = {f.name: f for f in FAULTS}
ID = re.compile(rb"x-baseten-customer-request-id: (\S+)", re.IGNORECASE)


@dataclass
class Met:
    """What each request met: request id -> the fault's name; those in `whole` were answered whole."""

    fault: dict[str, str] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    def answer(self, choose: Callable[[int], Fault | None]) -> Callable[[socket.socket, bytes], bool | None]:
        """An answer for `peer`: `choose(n)` gives the fault of the n-th request, None for a whole answer."""
        lock = threading.Lock()

        def answer(sock: socket.socket, request: bytes) -> bool | None:
            found = ID.search(request)
            assert found is not None
            name = found[1].decode()
            with lock:
                fault = choose(len(self.fault))
                self.fault[name] = fault.name if fault else ""
            result = (fault or WHOLE).answer(sock)
            if (fault or WHOLE).outcome == "ok":
                self.whole.add(name)
            return result

        return answer


@contextlib.contextmanager
def faulty(choose: Callable[[int], Fault | None], context: Any = None) -> Iterator[tuple[Peer, Met]]:
    met = Met()
    with peer(met.answer(choose), context) as p:
        yield p, met


@contextlib.contextmanager
def restarting(
    choose: Callable[[int], Fault | None] = lambda _: SLOW, context: Any = None, up_s: float = 0.25, down_s: float = 0.1
) -> Iterator[tuple[int, Met]]:
    """A server that is stopped and started again on its port, in the middle of whatever it does."""
    met, over, ready = Met(), threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def serve() -> None:
        while not over.is_set():
            with peer(met.answer(choose), context, port):
                ready.set()
                over.wait(up_s)
            over.wait(down_s)

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(10)
    try:
        yield port, met
    finally:
        over.set()
        thread.join()


class Handshakes:
    """What `peer` takes for a TLS context: each connection meets the next of `kinds`."""

    def __init__(self, kinds: list[str]) -> None:
        self._kinds, self._n, self._lock = kinds, 0, threading.Lock()
        self.authority, stranger = trustme.CA(), trustme.CA()
        self._good = self._context(self.authority, "127.0.0.1")
        self._contexts = {"wrong name": self._context(self.authority, "elsewhere.example"), "good": self._good}
        self._contexts["unknown authority"] = self._context(stranger, "127.0.0.1")

    @staticmethod
    def _context(authority: trustme.CA, name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    def wrap_socket(self, sock: socket.socket, server_side: bool = True) -> ssl.SSLSocket:
        with self._lock:
            kind = self._kinds[self._n % len(self._kinds)]
            self._n += 1
        if kind in self._contexts:
            return self._contexts[kind].wrap_socket(sock, server_side=server_side)
        sock.recv(65536)
        if kind == "no TLS":
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        raise OSError(f"this handshake was meant to fail: {kind}")

"""A scripted TCP peer on 127.0.0.1: each connection runs a function of the test's own on its own thread."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n" + b'{"output": "x"}'
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass
class Peer:
    """The port on which it listens, and the requests it has read (head and body)."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"


def read_request(sock: socket.socket) -> bytes:
    """One request with a content length; b"" at the end of file."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length")), 0)
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def reset(sock: socket.socket) -> None:
    """Closes so that the other side sees a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@contextlib.contextmanager
def peer(
    answer: Callable[[socket.socket, bytes], bool | None], context: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[Peer]:
    """`answer(sock, request)` is called for each request of a connection, until it gives False or the peer closes. At the
    end every connection is shut down and every thread of its own is over."""
    listener = socket.create_server(("127.0.0.1", port), backlog=256)
    about = Peer(listener.getsockname()[1])
    open_sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True)
                open_sockets.append(sock)
            with sock:
                while request := read_request(sock):
                    about.requests.append(request)
                    if answer(sock, request) is False:
                        break

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                about.connections += 1
                open_sockets.append(sock)
                threads.append(threading.Thread(target=serve, args=(sock,), daemon=True))
                threads[-1].start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield about
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)
        for sock in open_sockets:
            with contextlib.suppress(OSError):  # a close alone would not wake a thread that reads
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for each in threads:
            each.join(timeout=5)
        for sock in open_sockets:
            sock.close()

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
import trustme

from basetenkit.core.types import Outcome
from basetenkit.transport.tls import TlsLayer

from ..peer import END, HEAD, OK, chunk, peer
from .loop import exchange_all, payload


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    return ca, path


def server_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


def test_a_stream_over_tls_keeps_its_kernel_stamps(authority: tuple[trustme.CA, Path]) -> None:
    ca, path = authority

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD)
        for i in range(5):
            time.sleep(0.01)
            sock.sendall(chunk(b"data: %d\n\n" % i))
        time.sleep(0.01)
        sock.sendall(END)

    with peer(answer, server_context(ca, "127.0.0.1")) as p:
        first, second = exchange_all(p.url.replace("http", "https"), [payload(), payload()], verify=str(path))
        assert p.connections == 1
    assert first.failure is None
    assert second.failure is None
    assert first.tls_ns is not None
    assert second.tls_ns is None
    assert first.clock == "kernel"
    assert bytes(first.body) == b"".join(b"data: %d\n\n" % i for i in range(5))
    assert sum(map(bool, first.reads[2::4])) >= 3  # exact where a record ended the read


@pytest.mark.parametrize("names", [["other.example"], []])
def test_a_certificate_that_does_not_hold_is_a_connection_error_in_words(
    authority: tuple[trustme.CA, Path], names: list[str]
) -> None:
    ca, path = authority
    context = server_context(ca if names else trustme.CA(), *(names or ["127.0.0.1"]))
    with peer(lambda s, _: s.sendall(OK), context) as p:
        (x,) = exchange_all(p.url.replace("http", "https"), [payload()], verify=str(path))
    assert x.failure is not None
    assert x.failure.outcome is Outcome.CONNECTION_ERROR
    assert "certificate" in x.failure.message


def test_verify_off_takes_any_certificate() -> None:
    with peer(lambda s, _: s.sendall(OK), server_context(trustme.CA(), "other.example")) as p:
        (x,) = exchange_all(p.url.replace("http", "https"), [payload()], verify=False)
    assert x.failure is None
    assert x.status == 200


def test_plain_http_where_tls_is_spoken_is_a_connection_error() -> None:
    def serve() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(1000)
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        (x,) = exchange_all(f"https://127.0.0.1:{listener.getsockname()[1]}/", [payload()], verify=False)
        thread.join()
    assert x.failure is not None
    assert x.failure.outcome is Outcome.CONNECTION_ERROR
    assert "TLS handshake" in x.failure.message


def test_the_server_is_told_the_name_it_is_asked_for(authority: tuple[trustme.CA, Path]) -> None:
    ca, path = authority
    asked: list[str | None] = []
    context = server_context(ca, "localhost")
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    with peer(lambda s, _: s.sendall(OK), context) as p:
        url = f"https://localhost:{p.port}/"
        (x,) = exchange_all(url, [payload()], verify=str(path))
    assert x.failure is None
    assert asked == ["localhost"]


def record(body: bytes) -> bytes:
    return b"\x17\x03\x03" + len(body).to_bytes(2, "big") + body


def test_record_headers_are_walked_however_they_are_cut() -> None:
    data = record(b"a" * 300) + record(b"bc") + record(b"d")
    for size in (1, 2, 7, 304, 305, 306, 1000):
        layer = TlsLayer(ssl.create_default_context(), "x")
        walked = [layer._walk(data[i : i + size]) for i in range(0, len(data), size)]
        assert sum(ended for ended, _ in walked) == 3
        assert walked[-1][1]
    assert TlsLayer(ssl.create_default_context(), "x")._walk(data[:-1]) == (2, False)


def test_mutual_tls_shows_the_clients_certificate(authority: tuple[trustme.CA, Path], tmp_path: Path) -> None:
    ca, path = authority
    context = server_context(ca, "127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    issued, mine = ca.issue_cert("client.example"), tmp_path / "client.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(mine)
    with peer(lambda s, _: s.sendall(OK), context) as p:
        url = p.url.replace("http", "https")
        (known,) = exchange_all(url, [payload()], verify=str(path), client_cert=str(mine))
        (stranger,) = exchange_all(url, [payload()], verify=str(path))
    assert known.failure is None
    assert known.status == 200
    assert stranger.failure is not None
    assert stranger.failure.outcome is Outcome.CONNECTION_ERROR
    assert stranger.status is None


def test_a_record_cut_in_half_came_when_its_second_half_came(authority: tuple[trustme.CA, Path]) -> None:
    ca, path = authority
    completed: list[int] = []

    def relay(source: socket.socket, target: socket.socket, halve: bool) -> None:
        with contextlib.suppress(OSError):  # once the answer is whole, either side may be gone
            while data := source.recv(65536):
                if halve:
                    target.sendall(data[: len(data) // 2])
                    time.sleep(0.03)
                    completed.append(time.monotonic_ns())
                    data = data[len(data) // 2 :]
                target.sendall(data)

    def between(port: int, listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=relay, args=(server, client, True))
            back.start()
            relay(client, server, False)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    def answer(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(HEAD)
        for i in range(3):
            time.sleep(0.1)
            sock.sendall(chunk(b"data: %d\n\n" % i) + (END if i == 2 else b""))

    with peer(answer, server_context(ca, "127.0.0.1")) as p, socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=between, args=(p.port, listener))
        thread.start()
        (x,) = exchange_all(f"https://127.0.0.1:{listener.getsockname()[1]}/", [payload()], verify=str(path))
        thread.join()
    assert x.failure is None
    assert x.sent_ns is not None
    arrivals = x.arrivals
    assert [end for _, _, end in arrivals] == [9, 18, 27]
    whole = [at for at in completed if x.sent_ns < at <= (x.end_ns or 0)][
        -3:
    ]  # before them the head, after them a farewell
    for (at, error, _), true_ns in zip(arrivals, whole, strict=True):
        true = (true_ns - x.sent_ns) / 1e9
        assert at >= true - 1e-4
        assert at - error <= true + 0.01  # the relay may be put to sleep between its stamp and its send

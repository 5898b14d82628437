"""What fails on this machine is told as this machine's."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import ssl
from pathlib import Path

import pytest

from basetenkit.core.types import Cause, Outcome
from basetenkit.transport.limits import cause_of, own_limit

from ..peer import OK, peer
from .loop import exchange_all, payload


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EADDRNOTAVAIL, "no local port is free"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "fs.file-max"),
        (errno.ENOBUFS, "no memory"),
        (errno.ENOMEM, "no memory"),
    ],
)
def test_each_limit_has_its_words(number: int, words: str) -> None:
    said = own_limit(OSError(number, os.strerror(number)))
    assert said is not None
    assert said.startswith("this machine's own limit, not the endpoint's: ")
    assert words in said
    assert cause_of(OSError(number, os.strerror(number))) is Cause.OWN_LIMIT


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT])
def test_what_the_network_or_the_server_does_is_no_limit_of_ours(number: int) -> None:
    assert own_limit(OSError(number, os.strerror(number))) is None
    assert own_limit(OSError("without a number")) is None
    assert cause_of(OSError(number, "")) is (Cause.REFUSED if number == errno.ECONNREFUSED else None)
    assert cause_of(OSError("without a number")) is None


def test_a_name_and_tls_have_their_causes() -> None:
    assert cause_of(socket.gaierror(-2, "not known")) is Cause.UNRESOLVED
    assert cause_of(ssl.SSLCertVerificationError("self-signed")) is Cause.TLS_CERTIFICATE
    assert cause_of(ssl.SSLError("wrong version")) is Cause.TLS_HANDSHAKE


def test_a_process_without_a_file_left_says_so_and_does_not_blame_the_endpoint() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[socket.socket] = []

    def use_up() -> None:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(int(fd.name) for fd in Path("/proc/self/fd").iterdir()) + 8, hard)
        )
        with contextlib.suppress(OSError):
            while True:
                held.append(socket.socket())

    try:
        with peer(lambda sock, _: sock.sendall(OK)) as p:
            (good,) = exchange_all(p.url, [payload()])
            (bad,) = exchange_all(p.url, [payload()], before=use_up)
    finally:
        for sock in held:
            sock.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert good.failure is None
    assert bad.failure is not None
    assert bad.failure.outcome is Outcome.CONNECTION_ERROR
    assert bad.failure.cause is Cause.OWN_LIMIT

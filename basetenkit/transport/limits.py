"""Failures of this machine, as text: no local port, no open file, no memory for a socket. They say nothing of the endpoint, so
a message must not read as if the endpoint had refused."""

from __future__ import annotations

import errno
import socket
import ssl

from ..core.types import Cause

_WORDS = {
    errno.EADDRNOTAVAIL: "no local port is free for another connection (net.ipv4.ip_local_port_range)",
    errno.EMFILE: "this process may open no more files (ulimit -n)",
    errno.ENFILE: "this system may open no more files (fs.file-max)",
    errno.ENOBUFS: "there is no memory for another socket",
    errno.ENOMEM: "there is no memory for another socket",
}


def own_limit(error: OSError) -> str | None:
    """The sentence for a limit of this machine's that `error` met; None if it met none."""
    words = _WORDS.get(error.errno or 0)
    return None if words is None else f"this machine's own limit, not the endpoint's: {words}"


def cause_of(error: OSError) -> Cause | None:
    """What `error` says of why there is no connection, as far as it changes what to do."""
    if isinstance(error, ssl.SSLError):
        return Cause.TLS_CERTIFICATE if isinstance(error, ssl.SSLCertVerificationError) else Cause.TLS_HANDSHAKE
    if isinstance(error, socket.gaierror):
        return Cause.UNRESOLVED
    if error.errno == errno.ECONNREFUSED:
        return Cause.REFUSED
    return Cause.OWN_LIMIT if error.errno in _WORDS else None

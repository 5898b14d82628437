"""IPv6, and a name with an address of each family of which only one answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest

import basetenkit as bk

from ..loadgen.test_retries import Waking
from ..serving import serving


class Six(ThreadingHTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture(params=[(ThreadingHTTPServer, "127.0.0.1"), (Six, "::1")], ids=["IPv4", "IPv6"])
def server(request: pytest.FixtureRequest) -> Iterator[Any]:
    kind, host = request.param
    made: Any = kind((host, 0), Waking)
    made.seen, made.asleep, made.retry_after = [], 0, "0"
    with serving(made):
        yield made


@pytest.mark.parametrize("by_name", [False, True], ids=["address", "name"])
def test_each_family_is_reached_by_address_and_by_a_name_that_has_both(
    server: Any, by_name: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = server.server_address[0]
    if by_name:  # what a resolver says where a name has both; nothing listens on the other family's address
        both = [
            (socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("::1", server.server_port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", server.server_port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    shown = "both.example" if by_name else f"[{host}]" if ":" in host else host
    endpoint = bk.Endpoint(url=f"http://{shown}:{server.server_port}/v1/chat/completions", model="m")
    run = bk.run_sync(
        bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, scenarios="D(8,2)", concurrency=2, max_requests=4
        )
    )
    assert run.requests["outcome"].to_list() == ["ok"] * 4
    assert len(server.seen) == 4
    assert set(run.requests["clock"]) == {"kernel"}

"""Runs a coroutine on the engine's own kind of loop, and checks that it leaves no task behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from basetenkit.core.types import Exchange, Request
from basetenkit.transport.clock import Poller, mono
from basetenkit.transport.connection import Timeouts
from basetenkit.transport.http_request import Head, HttpRequest
from basetenkit.transport.pool import Origin, Pool

T = TypeVar("T")


def on_loop(work: Callable[[Poller], Awaitable[T]]) -> T:
    poller = Poller()

    async def main() -> T:
        result = await asyncio.wait_for(work(poller), 60)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks stay behind: {left}"
        assert poller.in_flight == 0
        assert not poller._hastened
        return result

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(poller)) as runner:
        result = runner.run(main())
    assert poller._ahead is None or poller._ahead.closed
    return result


def payload(body: bytes = b"{}", request_id: str = "r") -> HttpRequest:
    head = Head("POST", "/v1/chat/completions", (("host", "x"),))
    return HttpRequest(head, (("x-request-id", request_id),), body)


def exchange_all(
    url: str,
    payloads: list[HttpRequest],
    timeouts: Timeouts | None = None,
    verify: object = True,
    client_cert: str | None = None,
    before: Callable[[], None] = lambda: None,
    **kw: object,
) -> list[Exchange]:
    """Sends `payloads` one after the other through one pool; `before` is called on the loop before the first."""

    async def work(poller: Poller) -> list[Exchange]:
        pool = Pool(Origin.of(url, verify, client_cert), timeouts, poller=poller, **kw)  # type: ignore[arg-type]
        done = []
        before()
        for p in payloads:
            x = Exchange(Request("r", b"", "s"), start_ns=mono())
            await pool.exchange(x, p)
            done.append(x)
        await pool.close()
        return done

    return on_loop(work)

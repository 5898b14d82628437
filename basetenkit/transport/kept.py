"""A request on a kept connection that the server was closing: whether it may be sent again on a new one. Pure.

A server closes a connection that was idle for too long. If a request is on its way at that moment, the server never reads it,
and the answer is an end of file or a reset. The endpoint has not failed then, and RFC 9110 (9.2.2) lets a client send the
request again. It is sent again once, on a fresh connection, and only if the peer's system never acknowledged the request and
the end came within KEPT_END_S. A server that took the request and then closed the connection has failed; the message says that
the connection was a kept one.
"""

from __future__ import annotations

from dataclasses import replace

from ..core.types import Exchange, Outcome

KEPT_END_S = 1.0


def met_the_end(exchange: Exchange, kept: bool) -> bool:
    """Whether `exchange`, which is over, only met the end of a connection that was `kept` from an exchange before."""
    if (
        not kept
        or not exchange.not_taken
        or exchange.resent
        or exchange.failure is None
        or exchange.status is not None
        or exchange.reads
    ):
        return False
    if exchange.failure.outcome is not Outcome.CONNECTION_ERROR or exchange.sent_ns is None:
        return False
    return exchange.end_ns is not None and exchange.end_ns - exchange.sent_ns <= KEPT_END_S * 1e9


def name_kept(exchange: Exchange, kept: bool) -> None:
    """Says in the failure of `exchange` that its connection was `kept` from an exchange before, if no answer came."""
    failure = exchange.failure
    if kept and failure is not None and failure.outcome is Outcome.CONNECTION_ERROR and exchange.status is None:
        exchange.failure = replace(failure, message=f"{failure.message} (on a kept connection)")

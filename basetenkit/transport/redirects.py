"""A redirect that keeps the method (307, 308) to the same origin is followed; any other is reported in the row.

Every request contains the key, so a redirect to another host, port or scheme would send the key there. 301, 302 and 303 turn a
POST into a GET for most clients, which would measure another request.

The clock starts at the send of the request that was answered; the figures do not include the redirects, and a note reports
them.
"""

from __future__ import annotations

import httpx

from ..core.types import Exchange, first_header
from .http_request import HttpRequest

MOST = 5
_KEEP_THE_METHOD = (307, 308)


def redirected(exchange: Exchange, message: HttpRequest, origin: str) -> HttpRequest | None:
    """`message` for where a finished exchange was sent on to, at the same `origin` ("https://host:port"); None if it was
    not sent on, or to somewhere that must not see the key, or too often."""
    if exchange.status not in _KEEP_THE_METHOD or exchange.failure is not None or exchange.redirects >= MOST:
        return None
    location = first_header(exchange.headers, "location")
    try:
        here = httpx.URL(origin)
        there = here.join(message.head.target).join(location or "")
    except (httpx.InvalidURL, ValueError):
        return None
    if not location or _place(there) != _place(here):
        return None
    return message.to(there.raw_path.decode("ascii"))


def not_followed(exchange: Exchange) -> str | None:
    """The sentence for a redirect that was not followed: its target, and why. None if it is not a redirect."""
    location = first_header(exchange.headers, "location")
    if exchange.status not in (301, 302, 303, 307, 308) or not location or exchange.failure is not None:
        return None
    why = "it leads to another host, port or scheme, where the key must not go"
    if exchange.status not in _KEEP_THE_METHOD:
        why = "most clients make a GET of the request then"
    elif exchange.redirects >= MOST:
        why = f"{MOST} were followed before it"
    return f"HTTP {exchange.status}: the server redirects to {location[:300]}, which is not followed: {why}"


def _place(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def forget(exchange: Exchange) -> None:
    """Makes an exchange ready for its next answer: earlier events (a redirect, the end of a connection) do not belong to it."""
    exchange.status, exchange.headers, exchange.body = None, [], b""
    exchange.sent_ns = exchange.uploaded_ns = exchange.end_ns = exchange.started_at_ns = None
    exchange.out_of_order = False
    del exchange.reads[:]

"""A request in HTTP: method, target, headers, body. The parts stay separate until the request is written, so that a redirect, a
second attempt or another client can change one part without parsing text.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, repr=False)
class Head:
    """What all requests of a run have in common. Its headers hold the key: it has no repr, and is never logged."""

    method: str
    target: str
    headers: Headers
    encoded: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        object.__setattr__(self, "encoded", ("\r\n".join(lines) + "\r\n").encode("latin-1", "replace"))


@dataclass(frozen=True, slots=True, repr=False)
class HttpRequest:
    """One request: the common `head`, the headers that are its `own`, and its `body`, whose length header is added here."""

    head: Head
    own: Headers
    body: bytes

    @property
    def headers(self) -> Headers:
        """All headers, in the order in which they are sent."""
        return (*self.head.headers, *self.own, ("content-length", str(len(self.body))))

    def to(self, target: str) -> HttpRequest:
        """The same request for another target."""
        return replace(self, head=replace(self.head, target=target))

    def encode(self) -> bytes:
        """Its bytes in HTTP/1.1."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in self.own])
        return b"".join((self.head.encoded, f"{lines}content-length: {len(self.body)}\r\n\r\n".encode(), self.body))

"""Which values count as secrets, and how names, URLs and JSON values are written without them. A frame is known by its
fingerprint alone."""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import unquote_plus, urlsplit, urlunsplit

from .frames import columns_of

_SECRET_NAME = re.compile(
    r"auth|key|token|secret|password|passwd|credential|cookie|signature|(^|[^a-z])sig($|[^a-z])", re.I
)
# What of a name says the model's tokens, a cache's entry or a writer, and no credential. It is taken out before the search,
# so that `eos_token_secret` is one anyway; a name that is not listed here is masked.
_HARMLESS = re.compile(
    r"(?<![a-z])(stop|eos|bos|pad|unk|sep|cls|mask|special|start|end|image|audio|think|decoder_start)[-_]?token"
    r"|(?<![a-z])(max|min|new|num|stop|stopping|special|suppress|bad|budget)[-_]?tokens"
    r"|(?<![a-z])(prompt|completion|input|output|reasoning|thinking)[-_]?tokens"
    r"|tokeni[sz]|token[-_]?(ids|count|limit|budget|usage)(?![a-z])|(?<![a-z])cache[-_]?key|keyword|author(?!i)",
    re.I,
)


def looks_secret(name: str) -> bool:
    """Whether a value of this name, in a header, a query or a body, is treated as a secret."""
    return bool(_SECRET_NAME.search(_HARMLESS.sub("", name)))


def redact_url(url: str) -> str:
    """`url` without user info, and with `***` for each query value that looks like a secret; the rest stays as it is."""
    parts = urlsplit(url)
    query = "&".join(map(_redact_pair, parts.query.split("&")))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def _redact_pair(pair: str) -> str:
    name, has_value, _ = pair.partition("=")
    return f"{name}=***" if has_value and looks_secret(unquote_plus(name)) else pair


def redact(value: object) -> Any:
    """A JSON value with `***` for each text, at any depth, under a key that looks like a secret's, itself
    or in a list. Numbers stay: they are counts and ids."""
    if isinstance(value, dict):
        return {k: _hidden(v) if looks_secret(str(k)) else redact(v) for k, v in value.items()}
    return [redact(item) for item in value] if isinstance(value, list) else value


def _hidden(value: object) -> object:
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return "***" if isinstance(value, str) else redact(value)


def fingerprint(data: object) -> Any:
    """What tells a frame from any other: its size, and a hash of all it holds. Of anything else, its text, cut."""
    frame = columns_of(data)
    if frame is None:
        return str(data)[:200]
    if isinstance(frame, dict):
        held = hashlib.sha256(repr(frame).encode("utf-8", "surrogatepass")).hexdigest()
        rows = max(map(len, frame.values()), default=0)
        return {"frame": f"sha256:{held}", "rows": rows, "columns": list(frame)}
    content = frame.rechunk().write_ipc(None, compression="uncompressed").getvalue()
    return {"frame": f"sha256:{hashlib.sha256(content).hexdigest()}", "rows": frame.height, "columns": frame.columns}

"""What the embedded endpoint says: a request's body in, a timed reply out. No sockets here.

A reply is a head and pieces, each due so many seconds after the request was received. Its words are single tokens of the
embedded tokenizer where that is at hand, so that a client's own count of the text agrees with the usage reported.
"""

from __future__ import annotations

import base64
import json
import math
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .options import FAILURES, Options

TOKENIZER_FILE = Path(__file__).parent.parent / "workload" / "data" / "tokenizer.json"
ROUTES = ("/chat/completions", "/completions", "/embeddings", "/predict")
MESSAGE_OF_AN_ERROR = {"error": {"message": "the model failed in the middle", "code": 500}}
_WORDS = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which
one you were all her she there would their we him been has when who will more no if out so said what up its
about into than them can only other new some could time these two may then do first any my now such like our
over man me even most made after also did many
"""


@dataclass
class Piece:
    """Bytes to write `at` seconds after the request was received; `tokens` output tokens are in it."""

    at: float
    data: bytes
    tokens: int = 0


@dataclass
class Reply:
    """A whole answer. `chunked`: HTTP chunks; else `pieces` are one body with a length. `ending`: "whole", "truncate" (an
    end too early: of a stream a clean one, of a document within its body), "reset" or "stall"."""

    status: int
    content_type: str
    pieces: list[Piece]
    chunked: bool = False
    ending: str = "whole"
    prompt_tokens: int = 0
    tokens: int = 0
    outcome: str = "ok"
    headers: tuple[tuple[str, str], ...] = ()


@cache
def tokenizer() -> Any:
    """The embedded tokenizer, or None where it is not installed."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    return Tokenizer.from_file(str(TOKENIZER_FILE)) if TOKENIZER_FILE.is_file() else None


def count(text: str) -> int:
    """Tokens of a text: by the embedded tokenizer, else its words."""
    t = tokenizer()
    return len(t.encode(text, add_special_tokens=False).ids) if t is not None else len(text.split())


@cache
def vocabulary() -> tuple[str, ...]:
    """Words with a leading space that are one token each."""
    words = tuple(f" {w}" for w in _WORDS.split())
    return tuple(w for w in words if count(w) == 1) or words


class Speaker:
    """Turns requests into replies, from one seeded source of chance."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._rng = random.Random(options.seed)
        vocabulary()

    def reply(self, path: str, body: bytes, headers: dict[str, str], in_flight: int) -> Reply:
        """The reply to a POST of `body` to `path`."""
        o = self.options
        if not path.endswith(ROUTES):
            return self._json(404, {"detail": "Not Found"}, outcome="http_404")
        if o.api_key is not None and headers.get("authorization", "").partition(" ")[2] != o.api_key:
            return self._json(401, {"error": "Invalid API key"}, outcome="http_401")
        try:
            request = json.loads(body)
        except ValueError as error:
            return self._refused(f"Invalid JSON payload: {error}")
        if not isinstance(request, dict):
            return self._refused("Invalid JSON payload: it is no object")
        failure = headers.get("x-emulator-fail") or self._draw_failure()
        if failure and failure not in FAILURES:
            return self._refused(f"there is no failure {failure!r}; there are {', '.join(FAILURES)}")
        if failure in ("http_500", "http_429", "http_503", "html"):
            return self._failed(failure)
        return self._answer(path, request, in_flight, failure)

    def _answer(self, path: str, request: dict[str, Any], in_flight: int, failure: str) -> Reply:
        if path.endswith("/embeddings"):
            return self._embeddings(request, failure)
        form = _form_of(path, request)
        if wrong := _wrong_with(form, request):
            return self._refused(wrong)
        n = 0 if failure == "empty" else self._length(request)
        times = list(self._times(n, in_flight))
        make = self._stream if request.get("stream") else self._document
        reply = make(form, n, times, failure)
        reply.prompt_tokens, reply.tokens = count(_prompt_of(form, request)), n
        return self._with_usage(reply, form, request)

    def _length(self, request: dict[str, Any]) -> int:
        names = ("max_tokens", "max_completion_tokens", "max_new_tokens")
        limit = next((request[name] for name in names if request.get(name)), None)
        return limit if isinstance(limit, int) and limit > 0 else self.options.output_tokens

    def _times(self, n: int, in_flight: int) -> Iterator[float]:
        """When each token is due: seconds after the request was received."""
        o = self.options
        at = self._jittered(o.ttft_ms + o.batch_slope_ms * max(in_flight - 1, 0)) / 1e3
        for _ in range(n):
            yield at
            at += self._jittered(o.itl_ms) / 1e3

    def _jittered(self, mean: float) -> float:
        if not self.options.jitter or not mean:
            return mean
        sigma = math.sqrt(math.log(1 + self.options.jitter**2))
        return mean * self._rng.lognormvariate(-sigma * sigma / 2, sigma)

    def _text(self, n: int) -> list[str]:
        return self._rng.choices(vocabulary(), k=n)

    def _stream(self, form: str, n: int, times: list[float], failure: str) -> Reply:
        words, step = self._text(n), self.options.tokens_per_chunk
        groups = [
            ("".join(words[i : i + step]), times[min(i + step, n) - 1], min(step, n - i)) for i in range(0, n, step)
        ]
        if failure in ("truncate", "reset", "stall", "error_event"):
            groups = groups[: max(len(groups) // 2, 1)]
        sse = form != "prompt"
        encode = (lambda text: frame(form, text)) if sse else str.encode
        pieces = [Piece(at, encode(text), k) for text, at, k in groups]
        if form == "chat" and self.options.role_frame:
            delta = {"role": "assistant", "content": ""}
            role = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            pieces.insert(0, Piece(0.0, sse_message(role)))
        last = pieces[-1].at if pieces else 0.0
        reply = Reply(200, "text/event-stream" if sse else "application/octet-stream", pieces, chunked=True)
        if failure == "error_event":
            pieces.append(Piece(last, sse_message(MESSAGE_OF_AN_ERROR)))
            reply.outcome = failure
        elif failure in ("truncate", "reset", "stall"):
            reply.ending = reply.outcome = failure
        elif failure:
            reply.outcome = failure
        if sse and reply.outcome in ("ok", "empty"):
            key: dict[str, Any] = {"delta": {}} if form == "chat" else {"text": ""}
            finish = {"choices": [{"index": 0, **key, "finish_reason": "length"}]}
            pieces.append(Piece(last + self.options.tail_ms / 1e3, sse_message(finish)))
        return reply

    def _document(self, form: str, n: int, times: list[float], failure: str) -> Reply:
        text = "".join(self._text(n))
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
        body: Any = {self.options.form: text} if self.options.form != "string" else text
        if form == "chat":
            choice["message"] = {"role": "assistant", "content": text}
            body = {"id": "emulated", "object": "chat.completion", "choices": [choice]}
        elif form == "completions":
            body = {"id": "emulated", "object": "text_completion", "choices": [choice | {"text": text}]}
        return self._broken(body, times[-1] if times else 0.0, failure)

    def _broken(self, body: Any, at: float, failure: str) -> Reply:
        """A whole document, or what `failure` makes of it."""
        if failure == "error_event":
            return self._json(200, MESSAGE_OF_AN_ERROR, at, failure)
        reply = self._json(200, body, at, failure or "ok")
        if failure in ("truncate", "reset", "stall"):
            reply.ending = failure
        return reply

    def _with_usage(self, reply: Reply, form: str, request: dict[str, Any]) -> Reply:
        """Adds the usage where it is reported, and a stream's end."""
        if form == "prompt" or reply.outcome not in ("ok", "empty"):
            return reply
        total = reply.prompt_tokens + reply.tokens
        usage = {"prompt_tokens": reply.prompt_tokens, "completion_tokens": reply.tokens, "total_tokens": total}
        last = reply.pieces[-1]
        if reply.chunked:
            options = request.get("stream_options")
            if self.options.usage and isinstance(options, dict) and options.get("include_usage"):
                last.data += sse_message({"choices": [], "usage": usage})
            last.data += b"data: [DONE]\n\n"
        elif self.options.usage:
            last.data = json.dumps(json.loads(last.data) | {"usage": usage}).encode()
        return reply

    def _embeddings(self, request: dict[str, Any], failure: str) -> Reply:
        inputs = request.get("input")
        texts = [inputs] if isinstance(inputs, str) else inputs
        if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            return self._refused("input must be a string or a list of strings")
        size = request.get("dimensions") or self.options.dimension
        if not isinstance(size, int) or size < 1:
            return self._refused("dimensions must be a whole number of at least 1")
        vectors = [unit_vector(t, size) for t in texts]
        as_text = request.get("encoding_format") == "base64"
        coded: list[Any] = [base64.b64encode(struct.pack(f"<{size}f", *v)).decode() if as_text else v for v in vectors]
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(coded)]
        if failure == "empty":
            data = []
        n = sum(map(count, texts))
        body = {"object": "list", "data": data, "usage": {"prompt_tokens": n, "total_tokens": n}}
        reply = self._broken(body, self._jittered(self.options.ttft_ms) / 1e3, failure)
        reply.prompt_tokens = n
        return reply

    def _draw_failure(self) -> str:
        x = self._rng.random() if self.options.fail else 1.0
        for kind, share in self.options.fail.items():
            if (x := x - share) < 0:
                return kind
        return ""

    def _failed(self, kind: str) -> Reply:
        at = self.options.ttft_ms / 1e3
        if kind == "html":
            page = b"<!doctype html><html><body>Bad gateway</body></html>"
            return Reply(200, "text/html", [Piece(at, page)], outcome=kind)
        status = int(kind[5:])
        words = {
            500: "Internal Server Error (in model/chainlet).",
            429: "slow down",
            503: "Model with name model is not ready.",
        }
        reply = self._json(status, {"error": words[status]}, at, kind)
        reply.headers = (("x-baseten-error-source", "04"), ("x-baseten-error-code", "600"))
        return reply

    def _refused(self, why: str) -> Reply:
        return self._json(400, {"error": why}, outcome="http_400")

    @staticmethod
    def _json(status: int, body: Any, at: float = 0.0, outcome: str = "ok") -> Reply:
        return Reply(status, "application/json", [Piece(at, json.dumps(body).encode())], outcome=outcome)


def sse_message(message: dict[str, Any]) -> bytes:
    return (
        b"data: "
        + json.dumps(
            {"id": "emulated", "object": "chat.completion.chunk", "created": 0, "model": "emulated", **message}
        ).encode()
        + b"\n\n"
    )


@cache
def _frame_parts(form: str) -> tuple[bytes, bytes]:
    mark = "\u0001"
    key = {"delta": {"content": mark}} if form == "chat" else {"text": mark}
    before, after = sse_message({"choices": [{"index": 0, **key, "finish_reason": None}]}).split(
        json.dumps(mark)[1:-1].encode()
    )
    return before, after


def frame(form: str, text: str) -> bytes:
    """One output message of a stream, put together by bytes: a stream writes thousands a second."""
    before, after = _frame_parts(form)
    return before + json.dumps(text)[1:-1].encode() + after


def _form_of(path: str, request: dict[str, Any]) -> str:
    if path.endswith("/predict"):
        return "chat" if "messages" in request else "prompt"
    return "chat" if path.endswith("/chat/completions") else "completions"


def _wrong_with(form: str, request: dict[str, Any]) -> str | None:
    """Why a request cannot be answered, or None."""
    messages = request.get("messages")
    if form == "chat":
        whole = isinstance(messages, list) and messages and all(isinstance(m, dict) for m in messages)
        return None if whole else "messages must be a list of at least one object"
    return None if isinstance(request.get("prompt"), str) else "a prompt is missing"


def _prompt_of(form: str, request: dict[str, Any]) -> str:
    if form != "chat":
        return str(request["prompt"])
    contents = [m.get("content") for m in request["messages"]]
    parts = [p for c in contents for p in (c if isinstance(c, list) else [c])]
    texts = [p.get("text") if isinstance(p, dict) else p for p in parts]
    return "\n".join(t for t in texts if isinstance(t, str))


def unit_vector(text: str, size: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    rng = random.Random(text)
    values = [rng.gauss(0, 1) for _ in range(size)]
    norm = math.sqrt(sum(v * v for v in values)) or 1.0
    return [v / norm for v in values]

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
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TOKENIZER_FILE = Path(__file__).parent.parent / "workload" / "data" / "tokenizer.json"
FORMS = ("text", "output", "response", "generated_text", "result", "string")
FAILURES = ("http_500", "http_429", "http_503", "html", "error_event", "truncate", "reset", "stall", "empty")
_WORDS = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which
one you were all her she there would their we him been has when who will more no if out so said what up its
about into than them can only other new some could time these two may then do first any my now such like our
over man me even most made after also did many
"""


@dataclass(frozen=True)
class Options:
    """How the endpoint behaves. Times in ms; `jitter` is a coefficient of variation; `fail` maps a failure to its share."""

    ttft_ms: float = 50.0
    itl_ms: float = 20.0
    jitter: float = 0.0
    batch_slope_ms: float = 0.0
    tail_ms: float = 0.0
    role_frame: bool = True
    tokens_per_chunk: int = 1
    output_tokens: int = 100
    form: str = "output"
    usage: bool = True
    stamp_frames: bool = False
    dimension: int = 64
    api_key: str | None = None
    max_concurrency: int = 0
    fail: dict[str, float] = field(default_factory=dict)
    seed: int = 0


@dataclass
class Piece:
    """Bytes to write `at` seconds after the request was received; `tokens` output tokens are in it."""

    at: float
    data: bytes
    tokens: int = 0


@dataclass
class Reply:
    """A whole answer. `chunked`: HTTP chunks; else `pieces` are one body with a length. `ending`: "whole", "truncate" (a
    clean end too early), "reset" or "stall"."""

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
        if o.api_key is not None and headers.get("authorization", "").partition(" ")[2] != o.api_key:
            return self._json(401, {"error": "Invalid API key"}, outcome="http_401")
        try:
            request = json.loads(body)
        except ValueError as error:
            return self._json(400, {"error": f"Invalid JSON payload: {error}"}, outcome="http_400")
        if not isinstance(request, dict):
            return self._json(400, {"error": "Invalid JSON payload: it is no object"}, outcome="http_400")
        failure = headers.get("x-emulator-fail") or self._draw_failure()
        if failure in ("http_500", "http_429", "http_503", "html"):
            return self._failed(failure)
        return self._answer(path, request, in_flight, failure)

    def _answer(self, path: str, request: dict[str, Any], in_flight: int, failure: str) -> Reply:
        if path.endswith("/embeddings"):
            return self._embeddings(request)
        if path.endswith("/completions") and not path.endswith("/chat/completions"):
            form = "completions"
        else:
            form = "chat" if "messages" in request else "prompt"
        if form != "chat" and not isinstance(request.get("prompt"), str):
            return self._json(400, {"error": "a prompt is missing"}, outcome="http_400")
        prompt = _prompt_of(request)
        n = 0 if failure == "empty" else self._length(request)
        times = list(self._times(n, in_flight))
        reply = (
            self._stream(form, request, n, times, failure)
            if request.get("stream")
            else self._document(form, request, n, times)
        )
        reply.prompt_tokens, reply.tokens = count(prompt), n
        return self._with_usage(reply, form, request)

    def _length(self, request: dict[str, Any]) -> int:
        limit = request.get("max_tokens") or request.get("max_new_tokens")
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

    def _stream(self, form: str, request: dict[str, Any], n: int, times: list[float], failure: str) -> Reply:
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
            pieces.insert(
                0,
                Piece(
                    0.0,
                    sse_message(
                        {
                            "choices": [
                                {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
                            ]
                        }
                    ),
                ),
            )
        last = pieces[-1].at if pieces else 0.0
        reply = Reply(200, "text/event-stream" if sse else "application/octet-stream", pieces, chunked=True)
        if failure == "error_event":
            pieces.append(
                Piece(last, sse_message({"error": {"message": "the model failed in the middle", "code": 500}}))
            )
            reply.outcome = failure
        elif failure in ("truncate", "reset", "stall"):
            reply.ending = reply.outcome = failure
        elif sse:
            key: dict[str, Any] = {"delta": {}} if form == "chat" else {"text": ""}
            finish = {"choices": [{"index": 0, **key, "finish_reason": "length"}]}
            pieces.append(Piece(last + self.options.tail_ms / 1e3, sse_message(finish)))
        return reply

    def _document(self, form: str, request: dict[str, Any], n: int, times: list[float]) -> Reply:
        text = "".join(self._text(n))
        body: Any = {self.options.form: text} if self.options.form != "string" else text
        if form == "chat":
            message = {"role": "assistant", "content": text}
            body = {
                "id": "emulated",
                "object": "chat.completion",
                "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
            }
        elif form == "completions":
            body = {
                "id": "emulated",
                "object": "text_completion",
                "choices": [{"index": 0, "text": text, "finish_reason": "length"}],
            }
        return self._json(200, body, times[-1] if times else 0.0)

    def _with_usage(self, reply: Reply, form: str, request: dict[str, Any]) -> Reply:
        if not self.options.usage or form == "prompt" or reply.outcome != "ok":
            return reply
        usage = {
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.tokens,
            "total_tokens": reply.prompt_tokens + reply.tokens,
        }
        last = reply.pieces[-1]
        if not reply.chunked:
            body = json.loads(last.data)
            last.data = json.dumps(body | {"usage": usage}).encode()
            return reply
        if (request.get("stream_options") or {}).get("include_usage"):
            last.data += sse_message({"choices": [], "usage": usage})
        last.data += b"data: [DONE]\n\n"
        return reply

    def _embeddings(self, request: dict[str, Any]) -> Reply:
        inputs = request.get("input")
        texts = [inputs] if isinstance(inputs, str) else inputs
        if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            return self._json(400, {"error": "input must be a string or a list of strings"}, outcome="http_400")
        size = request.get("dimensions") or self.options.dimension
        vectors = [unit_vector(t, size) for t in texts]
        as_text = request.get("encoding_format") == "base64"
        coded: list[Any] = [base64.b64encode(struct.pack(f"<{size}f", *v)).decode() if as_text else v for v in vectors]
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(coded)]
        n = sum(map(count, texts))
        body = {"object": "list", "data": data, "usage": {"prompt_tokens": n, "total_tokens": n}}
        reply = self._json(200, body, self._jittered(self.options.ttft_ms) / 1e3)
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


def _prompt_of(request: dict[str, Any]) -> str:
    if "messages" not in request:
        return str(request["prompt"])
    contents = [m.get("content") for m in request["messages"] if isinstance(m, dict)]
    parts = [p for c in contents for p in (c if isinstance(c, list) else [c])]
    return "\n".join(p.get("text", "") if isinstance(p, dict) else p for p in parts if isinstance(p, (str, dict)))


def unit_vector(text: str, size: int) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    rng = random.Random(text)
    values = [rng.gauss(0, 1) for _ in range(size)]
    norm = math.sqrt(sum(v * v for v in values)) or 1.0
    return [v / norm for v in values]

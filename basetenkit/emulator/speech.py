"""What the embedded endpoint sends, and when: a request -> a reply of timed pieces. No sockets here."""

from __future__ import annotations

import base64
import json
import math
import random
import struct
from collections.abc import Callable
from itertools import accumulate
from typing import TypeAlias

from .options import FAILURES, FORMS, Options
from .reply import Piece, Reply, Stream, sse_message
from .words import JsonObject, WordCounts, ring, run_of, unit_vector, vocabulary

ROUTES = ("/chat/completions", "/completions", "/embeddings", "/predict")
_ROLE = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
ROLE_FRAME = sse_message({"choices": [_ROLE]})
Body: TypeAlias = JsonObject | str | Callable[[], JsonObject]  # a document, or what makes it when it is due
MESSAGE_OF_AN_ERROR: JsonObject = {"error": {"message": "the model failed in the middle", "code": 500}}


class Speaker:
    """Turns requests into replies, from one seeded source of chance."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._rng = rng = random.Random(options.seed)
        self._words: list[str] = ring(lambda: rng.choice(vocabulary()))
        sigma = math.sqrt(math.log(1 + options.jitter**2))
        jittered = (lambda: rng.lognormvariate(-sigma * sigma / 2, sigma)) if sigma else (lambda: 1.0)
        self._factors: list[float] = ring(jittered)

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
            return self._refused("Invalid JSON payload: it is not an object")
        failure = headers.get("x-emulator-fail") or self._draw_failure()
        if failure and failure not in FAILURES:
            return self._refused(f"there is no failure {failure!r}; there are {', '.join(FAILURES)}")
        if failure in ("http_500", "http_429", "http_503", "html"):
            return self._failed(failure)
        return self._answer(path, request, in_flight, failure)

    def _answer(self, path: str, request: JsonObject, in_flight: int, failure: str) -> Reply:
        if path.endswith("/embeddings"):
            return self._embeddings(request, failure)
        form = _form_of(path, request)
        if wrong := _wrong_with(form, request):
            return self._refused(wrong)
        if (shape := request.get("emulator", self.options.form)) not in FORMS:
            return self._refused(f"there is no form {shape!r}; there are {', '.join(FORMS)}")
        n, finish = (0, "length") if failure == "empty" else self._length(request)
        times, prompt = self._times(n, in_flight), WordCounts(_prompt_of(form, request))
        if request.get("stream"):
            pieces = self._pieces(form, times, failure)
            reply = self._stream(form, pieces, failure)
            if form != "prompt" and reply.outcome in ("ok", "empty"):
                self._close(reply, pieces, form, finish, request.get("stream_options"))
        else:
            document = self._document(form, shape, n, finish)
            body: Body = document
            if self.options.usage and form != "prompt" and isinstance(document, dict):
                body = _with_usage(document, prompt, n)
            reply = self._broken(body, times[-1] if times else 0.0, failure)
        reply.prompt, reply.tokens = prompt, n
        return reply

    def _length(self, request: JsonObject) -> tuple[int, str]:
        """How many tokens to say, and why no more."""
        names = ("max_tokens", "max_completion_tokens", "max_new_tokens")
        limit = next((request[name] for name in names if request.get(name)), None)
        n = limit if isinstance(limit, int) and limit > 0 else self.options.output_tokens
        own = self.options.stop_after
        return (own, "stop") if 0 < own < n and not request.get("ignore_eos") else (n, "length")

    def _times(self, n: int, in_flight: int) -> list[float]:
        """When each token is due: seconds after the request was received."""
        o = self.options
        if not n:
            return []
        first, *factors = run_of(self._factors, self._start(), n)
        first *= (o.ttft_ms + o.batch_slope_ms * max(in_flight - 1, 0)) / 1e3
        itl = o.itl_ms / 1e3
        return list(accumulate([itl * f for f in factors], initial=first))

    def _start(self) -> int:
        return self._rng.randrange(len(self._words))

    def _text(self, n: int) -> list[str]:
        return run_of(self._words, self._start(), n)

    def _pieces(self, form: str, times: list[float], failure: str) -> Stream:
        o = self.options
        pieces = Stream(form, self._text(len(times)), times, o.tokens_per_chunk)
        if form == "chat" and o.role_frame:
            pieces.opening.append(Piece(0.0, ROLE_FRAME))
        if failure in ("truncate", "reset", "stall", "error_event"):
            pieces.cut(max(pieces.middle // 2, 1))
        return pieces

    def _stream(self, form: str, pieces: Stream, failure: str) -> Reply:
        kind = "application/octet-stream" if form == "prompt" else "text/event-stream"
        reply = Reply(200, kind, pieces, chunked=True, outcome=failure or "ok")
        if failure == "error_event":
            pieces.closing.append(Piece(pieces.last_at, sse_message(MESSAGE_OF_AN_ERROR)))
        elif failure in ("truncate", "reset", "stall"):
            reply.ending = failure
        return reply

    def _close(self, reply: Reply, pieces: Stream, form: str, finish: str, options: object) -> None:
        """Adds a stream's end: the finish, the usage where it was asked for, [DONE]."""
        asked = self.options.usage and isinstance(options, dict) and options.get("include_usage")
        key: JsonObject = {"delta": {}} if form == "chat" else {"text": ""}
        said = sse_message({"choices": [{"index": 0, **key, "finish_reason": finish}]})

        def end() -> bytes:
            usage = sse_message(_with_usage({"choices": []}, reply.prompt, reply.tokens)()) if asked else b""
            return said + usage + b"data: [DONE]\n\n"

        pieces.closing.append(Piece(pieces.last_at + self.options.tail_ms / 1e3, end))

    def _document(self, form: str, shape: str, n: int, finish: str) -> JsonObject | str:
        text = "".join(self._text(n))
        choice: JsonObject = {"index": 0, "finish_reason": finish}
        if form == "chat":
            choice["message"] = {"role": "assistant", "content": text}
            return {"id": "emulated", "object": "chat.completion", "choices": [choice]}
        if form == "completions":
            return {"id": "emulated", "object": "text_completion", "choices": [choice | {"text": text}]}
        return text if shape == "string" else {shape: text}

    def _broken(self, body: Body, at: float, failure: str) -> Reply:
        """A whole document (or what makes it, when it is due), or what `failure` makes of it."""
        if failure == "error_event":
            return self._json(200, MESSAGE_OF_AN_ERROR, at, failure)
        reply = self._json(200, body, at, failure or "ok")
        if failure in ("truncate", "reset", "stall"):
            reply.ending = failure
        return reply

    def _embeddings(self, request: JsonObject, failure: str) -> Reply:
        inputs = request.get("input")
        texts = [inputs] if isinstance(inputs, str) else inputs
        if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
            return self._refused("input must be a string or a list of strings")
        size = request.get("dimensions") or self.options.dimension
        if not isinstance(size, int) or size < 1:
            return self._refused("dimensions must be a whole number of at least 1")
        coded: list[list[float] | str] = [unit_vector(t, size) for t in texts]
        if request.get("encoding_format") == "base64":
            coded = [base64.b64encode(struct.pack(f"<{size}f", *unit_vector(t, size))).decode() for t in texts]
        data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(coded)]
        prompt = WordCounts(*texts)

        def body() -> JsonObject:
            usage = {"prompt_tokens": prompt(), "total_tokens": prompt()}
            return {"object": "list", "data": [] if failure == "empty" else data, "usage": usage}

        factor = self._factors[self._start()]
        reply = self._broken(body, factor * self.options.ttft_ms / 1e3, failure)
        reply.prompt = prompt
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

    def limited(self, after_s: float) -> Reply:
        """The reply to a request that the rate limiter refuses; it would accept one after so many seconds."""
        reply = self._json(429, {"error": "Rate limit exceeded. Please retry later."}, outcome="http_429")
        reply.headers = (("retry-after", str(max(math.ceil(after_s), 1))),)
        return reply

    def _refused(self, why: str) -> Reply:
        return self._json(400, {"error": why}, outcome="http_400")

    @staticmethod
    def _json(status: int, body: Body, at: float = 0.0, outcome: str = "ok") -> Reply:
        def data() -> bytes:
            return json.dumps(body() if callable(body) else body).encode()

        return Reply(status, "application/json", [Piece(at, data)], outcome=outcome)


def _with_usage(body: JsonObject, prompt: WordCounts | None, n: int) -> Callable[[], JsonObject]:
    """Makes `body` with its usage when it is due, so that the prompt need not be counted before."""

    def whole() -> JsonObject:
        asked = 0 if prompt is None else prompt()
        usage: JsonObject = {"prompt_tokens": asked, "completion_tokens": n, "total_tokens": asked + n}
        if prompt is not None and prompt.cached is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": prompt.cached}
        return body | {"usage": usage}

    return whole


def _form_of(path: str, request: JsonObject) -> str:
    if path.endswith("/predict"):
        return "chat" if "messages" in request else "prompt"
    return "chat" if path.endswith("/chat/completions") else "completions"


def _wrong_with(form: str, request: JsonObject) -> str | None:
    """Why a request cannot be answered, or None."""
    messages = request.get("messages")
    if form == "chat":
        whole = isinstance(messages, list) and messages and all(isinstance(m, dict) for m in messages)
        return None if whole else "messages must be a list of at least one object"
    return None if isinstance(request.get("prompt"), str) else "a prompt is missing"


def _prompt_of(form: str, request: JsonObject) -> str:
    if form != "chat":
        return str(request["prompt"])
    contents = [m.get("content") for m in request["messages"]]
    parts = [p for c in contents for p in (c if isinstance(c, list) else [c])]
    texts = [p.get("text") if isinstance(p, dict) else p for p in parts]
    return "\n".join(t for t in texts if isinstance(t, str))

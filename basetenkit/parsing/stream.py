"""Messages of a stream -> output events: the loop that every token goes through once.

About a microsecond of it is reading the JSON; the rest is kept as short. The dialect that took the last message is asked
first for the next, so that the search among dialects happens once a stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import orjson

from basetenkit.parsing import dialects, path
from basetenkit.parsing.collector import CONTENT, Collector
from basetenkit.parsing.dialects import Reader
from basetenkit.parsing.failures import Report, clip, report_in_body, report_of
from basetenkit.parsing.lenient import MAX_DOCUMENT, bad_bytes, is_cut_off, load_forgiving
from basetenkit.parsing.wire import Message

# Names of events by which servers that stream bare words say that they are done.
_END_NAMES = frozenset({"done", "end", "complete", "completed", "eos", "finish"})


def read_messages(messages: Iterable[Message], out: Collector, response_path: str | None, framing: str) -> None:
    """Takes in all messages, up to [DONE] or an error; later ones are counted."""
    rest = iter(messages)
    state = _Stream(out, response_path, framing)
    reader, loads, big = state.reader, orjson.loads, len(out.body) > MAX_DOCUMENT
    for message in rest:
        name, data, start, end, _ = message
        if big and len(data) > MAX_DOCUMENT:
            out.broken = f"the message at byte {start} is longer than {MAX_DOCUMENT} bytes"
            break
        try:
            doc = loads(data)
        except orjson.JSONDecodeError:
            state.take_odd(message)
        else:
            if (
                reader is not None
                and doc.__class__ is dict
                and name != "error"
                and not doc.get("error")
                and reader(doc, out, start, end)
            ):
                continue
            state.take(doc, message)
        reader = state.reader
        if out.done or out.error is not None or out.broken:
            break
    _count_rest(rest, out)


def _count_rest(rest: Iterator[Message], out: Collector) -> None:
    """What comes after the end mark is not read; an error's own [DONE] is no news either."""
    for name, data, start, end, _ in rest:
        if data.strip() != b"[DONE]":
            out.after_done += 1
            if out.after_done == 1:
                out.because(f"message after the end ({name or 'no name'}): ignored", start, end)


def close_stream(out: Collector, kind: str) -> None:
    """Whether the stream came to its end: [DONE], a finish reason, or the dialect's own mark."""
    if out.error is not None or out.broken or out.cut:
        return
    if not out.texts and not out.finish_reason and not out.opened and (out.keys or out.bad):
        what = f"keys of the first: {', '.join(out.keys)}" if out.keys else out.bad_why
        out.broken = f"no message of the stream could be read ({what}); name the text's place with response_path="
    elif out.done or out.finished:
        return
    elif out.finish_reason:
        if kind == "sse":
            out.warn("no_done")
    elif kind == "ndjson" and out.dialect != "Ollama" and out.texts:
        out.warn("completion_unverified")
    elif out.texts or out.opened:
        out.cut = "the stream ended without [DONE] and without a finish_reason: the model may have died in the middle"


class _Stream:
    """What the rarer messages need to know of those before them."""

    def __init__(self, out: Collector, response_path: str | None, framing: str) -> None:
        self.out, self.framing = out, framing
        self.reader: Reader | None = None
        self.is_words = False  # bare words instead of JSON
        self._path: Reader | None = None
        if response_path:
            self._path = partial(_by_path, response_path)

    def take(self, doc: Any, message: Message) -> None:
        """A message of valid JSON that the known dialect did not take."""
        name, _, start, end, _ = message
        out = self.out
        if isinstance(doc, list) and doc and isinstance(doc[0], dict):
            doc = doc[0]
        if name == "error":
            self._fail(report_in_body(doc), message)
        elif isinstance(doc, dict):
            report = report_of(doc)
            if report is not None:
                self._fail(report, message)
            elif not self._ends(name):
                self._find(doc, start, end)
        elif isinstance(doc, str):
            if doc:
                out.emit(doc, CONTENT, start, end)
        elif isinstance(doc, (int, float)):
            self._word(message)
        elif doc is not None:
            self._skip(message, "an array")

    def _skip(self, message: Message, why: str) -> None:
        self.out.bad += 1
        if self.out.bad == 1:
            self.out.bad_why = clip(f"at byte {message[2]}: {why}")
            self.out.because(f"a message cannot be read ({clip(why)}): skipped", message[2], message[3])

    def _find(self, doc: dict[str, Any], start: int, end: int) -> None:
        reader = self._path if self._path is not None and self._path(doc, self.out, start, end) else None
        reader = reader or dialects.find(doc, self.out, start, end)
        if reader is None:
            self._unread(doc)
        else:
            self.reader = reader

    def _unread(self, doc: dict[str, Any]) -> None:
        self.out.take_usage(doc.get("usage"))
        self.out.keys = self.out.keys or [str(key) for key in list(doc)[:20]]

    def _ends(self, name: str | None) -> bool:
        if name not in _END_NAMES or self.reader is not None:
            return False
        self.out.finished = True
        return True

    def _fail(self, report: Report, message: Message) -> None:
        self.out.error = report
        self.out.because("a message reports an error", message[2], message[3])

    def take_odd(self, message: Message) -> None:
        """A message that is no strict JSON: [DONE], a plain word, forgivable JSON, or one cut off by the body's end."""
        name, data, start, end, whole = message
        out, word = self.out, data.strip()
        if word == b"[DONE]":
            out.done = True
            out.because("end: [DONE]", start, end)
        elif name == "error":
            self._fail(Report(clip(word.decode("utf-8", "replace")) or "an error event without a message"), message)
        elif self.is_words:
            self._word(message)
        elif not word:
            return
        else:
            self._take_bad(message, word, whole)

    def _take_bad(self, message: Message, word: bytes, whole: bool) -> None:
        out = self.out
        try:
            doc, why = load_forgiving(word)
        except ValueError as error:
            looks_json = word[:1] in (b"{", b"[", b'"')
            if not whole and looks_json and is_cut_off(word):
                out.cut = f"the body ends within the message that begins at byte {message[2]}"
                out.because("the last message is cut off", message[2], message[3])
            elif self.reader is None and self.framing == "sse" and not looks_json:
                self._word(message)
            else:
                self._skip(message, str(error))
            return
        bad = bad_bytes(word)
        if bad:
            out.warn("decode_errors", n=bad)
        if not bad or len(why) > 1:
            out.warn("lenient_json", why=", ".join(w for w in why if "UTF-8" not in w))
        self.take(doc, message)

    def _word(self, message: Message) -> None:
        """Bare text as data: each event is a piece, whitespace and all."""
        name, data, start, end, _ = message
        self.out.opened = True
        if self._ends(name):
            return
        if not self.is_words:
            self.is_words = True
            self.out.because("dialect: bare words as data", start, end)
        bad = bad_bytes(data)
        if bad:
            self.out.warn("decode_errors", n=bad)
        if data:
            self.out.emit(data.decode("utf-8", "replace"), CONTENT, start, end)


def _by_path(response_path: str, doc: dict[str, Any], out: Collector, start: int, end: int) -> bool:
    if not path.read(doc, response_path, out, start, end) and not out.keys:
        out.keys = [str(key) for key in list(doc)[:20]]
    return True

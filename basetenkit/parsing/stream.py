"""Messages of a stream -> output events: the loop that every token goes through once.

Parsing the JSON takes about a microsecond; the rest takes about as long. The dialect that took the last message is tried first
for the next one, so the search among dialects happens once per stream.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial

import orjson

from basetenkit.parsing import dialects, path
from basetenkit.parsing.collector import CONTENT, Collector
from basetenkit.parsing.dialects import Reader
from basetenkit.parsing.failures import Report, clip, is_html, report_in_body, report_of, snippet
from basetenkit.parsing.lenient import MAX_DOCUMENT, bad_bytes, is_cut_off, load_forgiving
from basetenkit.parsing.wire import STRAY, Message, is_framed, unframed

# Names of events by which servers that stream bare words say that they are done.
_END_NAMES = frozenset({"done", "end", "complete", "completed", "eos", "finish"})
# Names of events, and words as data, that only keep the connection open.
_PINGS = frozenset({"ping", "heartbeat", "keepalive", "keep-alive", "keep_alive"})
_SPECIAL = frozenset({"error", STRAY})
_END_WORD = re.compile(rb"[\[<(]?(?:done|end|eof|eos)[\])>]?", re.IGNORECASE)  # beside JSON messages


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
                and name not in _SPECIAL
                and not doc.get("error")
                and reader(doc, out, start, end)
            ):
                continue
            state.take(doc, message)
        reader = state.reader
        if out.done or out.error is not None or out.broken:
            break
    if not out.broken:
        _count_rest(rest, out)


def _count_rest(rest: Iterator[Message], out: Collector) -> None:
    """Data after the end marker is not read; a [DONE] after an error is ignored, too."""
    for name, data, start, end, _ in rest:
        if data.strip() != b"[DONE]":
            out.after_done += 1
            if out.after_done == 1:
                out.add_trace(f"message after the end ({name or 'no name'}): ignored", start, end)


def close_stream(out: Collector, kind: str) -> None:
    """Whether the stream came to its end: [DONE], a finish reason, or the dialect's own mark."""
    if out.error is not None or out.broken or out.cut:
        return
    if not out.texts and not out.finish_reason and not out.opened and out.keys:
        keys, example = ", ".join(out.keys), f'"{out.example}"' if out.example else ""
        advice = f"name the text's place with response_path={example}"
        out.broken = f"no message of the stream could be read (keys of the first: {keys}); {advice}"
    elif out.done or out.finished or out.failed is not None:
        return
    elif out.finish_reason:
        if kind == "sse":
            out.warn("no_done")
    elif out.texts and (out.is_endless or (kind == "ndjson" and out.dialect != "Ollama")):
        out.warn("completion_unverified")
    elif out.texts or out.opened:
        out.cut = "the stream ended without [DONE] and without a finish_reason: the model may have died in the middle"


class _Stream:
    """What the rarer messages need to know of those before them."""

    def __init__(self, out: Collector, response_path: str | None, framing: str) -> None:
        self.out, self.framing = out, framing
        self.reader: Reader | None = None
        self.is_words = False  # bare words instead of JSON
        self.first_word: Message = (None, b"", 0, 0, True)
        self.depth = 0  # how often the message being read was unframed
        self._path: Reader | None = None
        if response_path:
            self._path = partial(_by_path, response_path)

    def take(self, doc: object, message: Message) -> None:
        """A message of valid JSON that the known dialect did not take."""
        name, data = message[0], message[1]
        if isinstance(doc, list) and doc and isinstance(doc[0], dict):
            doc = doc[0]
        if name is STRAY:
            self._note_stray(message)
        if name == "error":
            self._fail(report_in_body(doc), message)
        elif isinstance(doc, dict):
            report = report_of(doc)
            if report is not None:
                self._fail(report, message)
            elif not self._ends(name):
                self._find(doc, message)
        elif name is STRAY:
            return
        elif isinstance(doc, str):
            self._string(doc, message)
        elif isinstance(doc, (int, float)):
            self._word(message)
        elif doc:
            self._stop(message, f"it is an array: {snippet(data)[:80]}")

    def _string(self, doc: str, message: Message) -> None:
        """A JSON string as data: a piece of text, unless it holds a message or an end mark that was encoded twice."""
        text = doc.strip()
        inner = text.encode("utf-8", "replace")
        if text == "[DONE]":
            self._end(message)
        elif self._unframe(inner, message):
            return
        elif text[:1] == "{" and (known := self._document(inner)) is not None:
            self.out.warn("unwrapped", levels=1)
            self.take(known, message)
        elif doc:
            self.out.emit(doc, CONTENT, message[2], message[3])

    @staticmethod
    def _document(data: bytes) -> dict[str, object] | None:
        """The JSON object in `data`, if it is one that a dialect knows or that reports an error."""
        try:
            doc = orjson.loads(data)
        except orjson.JSONDecodeError:
            return None
        known = report_of(doc) is not None or dialects.find(doc, Collector(data), 0, 0) is not None
        return doc if known and isinstance(doc, dict) else None

    def _note_stray(self, message: Message) -> None:
        if not self.out.stray:
            self.out.stray = snippet(message[1])[:200]
            self.out.warn("stray_line", text=self.out.stray)
            self.out.add_trace("lines that are no field and no comment", message[2], message[3])

    def _stop(self, message: Message, why: str) -> None:
        """A message that cannot be read: what follows it is not read, for no figure may come from it."""
        self.out.broken = clip(f"the message at byte {message[2]} cannot be read: {why}")
        self.out.add_trace("a message cannot be read: the response is malformed", message[2], message[3])

    def _find(self, doc: dict[str, object], message: Message) -> None:
        _, _, start, end, _ = message
        reader = self._path if self._path is not None and self._path(doc, self.out, start, end) else None
        reader = reader or dialects.find(doc, self.out, start, end)
        if reader is None:
            self._unread(doc)
        elif self.is_words:
            self.out.forget_events()
            self._stop(self.first_word, f"it is not JSON, unlike the others: {snippet(self.first_word[1])[:80]}")
        else:
            self.reader = reader

    def _unread(self, doc: dict[str, object]) -> None:
        self.out.take_usage(doc.get("usage"))
        if not self.out.keys:
            self.out.keys = [str(key) for key in list(doc)[:20]]
            self.out.example = path.likeliest(doc)

    def _ends(self, name: str | None) -> bool:
        if name not in _END_NAMES or self.reader is not None:
            return False
        self.out.finished = True
        return True

    def _fail(self, report: Report, message: Message) -> None:
        self.out.error = report
        self.out.add_trace("a message reports an error", message[2], message[3])

    def take_odd(self, message: Message) -> None:
        """A message that is not strict JSON: [DONE], a plain word, forgivable JSON, or one cut off by the body's end."""
        name, data, _, _, whole = message
        word = data.strip()
        if name is STRAY:
            self._stray(message, word, whole)
        elif word == b"[DONE]" or (self.reader is not None and _END_WORD.fullmatch(word)):
            self._end(message)
        elif name == "error":
            self._take_error(word, message)
        elif not word or name in _PINGS or (self.reader is not None and word.decode("latin-1").lower() in _PINGS):
            if self.is_words and data:
                self._word(message)
        elif self._unframe(word, message):
            return
        elif self.is_words:
            self._word(message)
        else:
            self._take_bad(message, word, whole)

    def _end(self, message: Message) -> None:
        self.out.done = True
        self.out.add_trace("end: [DONE]", message[2], message[3])

    def _take_error(self, word: bytes, message: Message) -> None:
        try:
            report = report_in_body(load_forgiving(word)[0])
        except ValueError:
            report = Report(clip(word.decode("utf-8", "replace")) or "an error event without a message")
        self._fail(report, message)

    def _stray(self, message: Message, word: bytes, whole: bool) -> None:
        """Lines outside any event. JSON among them is read; other lines are kept for the sentence or a note."""
        self._note_stray(message)
        try:
            doc, _ = load_forgiving(word)
        except ValueError:
            if not whole and word[:1] == b"{" and is_cut_off(word):
                self.out.cut = f"the body ends within the lines that begin at byte {message[2]}"
            return
        if isinstance(doc, dict):
            self.take(doc, message)

    def _unframe(self, data: bytes, message: Message) -> bool:
        """Reads data whose value begins with its own field. False if that is the text of a stream of words."""
        inner = list(unframed(data)) if self.depth == 0 else []
        values = [value.strip() for _, value, *_ in inner]
        if not inner or not (
            any(value == b"[DONE]" or value[:1] in (b"{", b"[") or is_framed(value) for value in values)
            or (inner[0][0] == "error" and not (self.is_words and self.out.texts))
        ):
            return False
        if self.framing == "sse":
            self.out.warn("framed_twice")
            self.out.add_trace("a message was framed twice: unframed once more", message[2], message[3])
        self.depth = 1
        for name, value, *_ in inner:
            again = (name, value, message[2], message[3], message[4])
            try:
                doc = orjson.loads(value)
            except orjson.JSONDecodeError:
                self.take_odd(again)
            else:
                self.take(doc, again)
            if self.out.done or self.out.error is not None or self.out.broken:
                break
        self.depth = 0
        return True

    def _take_bad(self, message: Message, word: bytes, whole: bool) -> None:
        out = self.out
        try:
            doc, why = load_forgiving(word)
        except ValueError as error:
            looks_json = word[:1] in (b"{", b"[", b'"')
            if not whole and looks_json and is_cut_off(word):
                out.cut = f"the body ends within the message that begins at byte {message[2]}"
                out.add_trace("the last message is cut off", message[2], message[3])
            elif self._may_be_words() and not looks_json and not is_html(word):
                self._word(message)
            else:
                self._stop(message, str(error) if looks_json else f"it is not JSON: {snippet(word)[:120]}")
            return
        bad = bad_bytes(word)
        if bad:
            out.warn("decode_errors", n=bad)
        if not bad or len(why) > 1:
            out.warn("lenient_json", why=", ".join(w for w in why if "UTF-8" not in w))
        self.take(doc, message)

    def _may_be_words(self) -> bool:
        return self.reader is None and self.framing == "sse" and self.depth == 0

    def _word(self, message: Message) -> None:
        """Bare text as data: each event is a piece, whitespace and all."""
        name, data, start, end, _ = message
        self.out.opened = True
        if self._ends(name):
            return
        if not self.is_words:
            self.is_words, self.first_word = True, message
            self.out.add_trace("dialect: bare words as data", start, end)
        bad = bad_bytes(data)
        if bad:
            self.out.warn("decode_errors", n=bad)
        if data:
            self.out.emit(data.decode("utf-8", "replace"), CONTENT, start, end)


def _by_path(response_path: str, doc: dict[str, object], out: Collector, start: int, end: int) -> bool:
    if not path.read_path(doc, response_path, out, start, end) and not out.keys:
        out.keys, out.example = [str(key) for key in list(doc)[:20]], path.likeliest(doc)
    return True

"""The words of a command as a shell would pass them on: quotation marks, continued lines and variables.

A shell has not read a command that is pasted into a notebook, so `$MODEL_API_KEY` in it is still a name. It is replaced from the
environment as a shell would do it: not between single quotation marks, unless there is nothing else between them. A variable that
is not set is refused by its name, and so are placeholders: `{model_id}`, `<your-key>`.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...core.errors import ConfigError

FREE_TEXT = ("--additional-request-params",)  # JSON: braces and angle brackets in it are the user's own
_OPEN, _CLOSE = "\ue000", "\ue001"  # private use: in no command that means anything
_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_VARIABLE = re.compile(rf"\$(?:\{{({_NAME})(?::?-([^}}]*))?\}}|env:({_NAME})|({_NAME}))")
_WHOLE = re.compile(rf"{_VARIABLE.pattern}|%([A-Z_][A-Z0-9_]*)%")
_UNFILLED = re.compile(rf"\{{\{{?\s*({_NAME})\s*\}}?\}}|<([A-Za-z][\w .-]*)>")


@dataclass
class _Marks:
    """The parts taken out of the text before it is split: literal text, or a variable with its default."""

    kept: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def literal(self, text: str) -> str:
        return self._mark((text, None, None))

    def variable(self, found: re.Match[str]) -> str:
        return self._mark((found[0], found[1] or found[3] or found[4], found[2]))

    def _mark(self, entry: tuple[str, str | None, str | None]) -> str:
        self.kept.append(entry)
        return f"{_OPEN}{len(self.kept) - 1}{_CLOSE}"


def split(text: str) -> list[str]:
    """The words of a command's text, variables filled in; ConfigError if one is not set or a quotation mark is missing."""
    joined = re.sub(r"[\\`^][ \t]*\r?\n", " ", text).strip().lstrip("%! ")
    joined = joined[1:].lstrip() if re.match(r"\$\s", joined) else joined
    marks = _Marks()
    marked = "".join(_marked(joined.replace(_OPEN, "").replace(_CLOSE, ""), marks))
    try:
        words = shlex.split(marked)
    except ValueError as error:
        raise ConfigError(f"the command cannot be read ({error}); is a quotation mark missing?") from None
    return [_filled(word, _flag_of(words, at), marks) for at, word in enumerate(words)]


def _marked(text: str, marks: _Marks) -> Iterator[str]:
    """The text with a mark in place of each variable outside single quotation marks, and of each escaped `$`."""
    at, quote = 0, ""
    while at < len(text):
        character = text[at]
        if quote == "'":
            quote = "" if character == "'" else quote
        elif character == "\\":
            escaped = text[at : at + 2]
            yield marks.literal(escaped[1]) if escaped[1:] in ("$", "`") else escaped
            at += 2
            continue
        elif character in "'\"":
            quote = "" if character == quote else quote or character
        elif character == "`" or text.startswith("$(", at):
            raise ConfigError("the command holds another shell command, $(...) or `...`: write its result in its place")
        elif character == "$" and (found := _VARIABLE.match(text, at)):
            yield marks.variable(found)
            at = found.end()
            continue
        elif text.startswith("${", at):
            raise ConfigError(
                f"the command holds {text[at : text.find('}', at) + 1] or '${'}: write its value in its place"
            )
        yield character
        at += 1


def _flag_of(words: list[str], at: int) -> str:
    """The flag whose value the word is, or itself if it has one; "" for none."""
    own, has_value, _ = words[at].partition("=")
    if own.startswith("--"):
        return own if has_value else ""
    return words[at - 1] if at and words[at - 1].startswith("--") else ""


def _filled(word: str, flag: str, marks: _Marks) -> str:
    def fill(found: re.Match[str]) -> str:
        said, name, default = marks.kept[int(found[1])]
        return said if name is None else _value(said, name, default, flag)

    whole = re.sub(f"{_OPEN}(\\d+){_CLOSE}", fill, word)
    if whole != word:
        return whole
    before, value = ("", word) if not (flag and word.startswith(flag)) else (f"{flag}=", word[len(flag) + 1 :])
    if found := _WHOLE.fullmatch(value):
        return before + _value(found[0], found[1] or found[3] or found[4] or found[5], found[2], flag)
    if flag and flag not in FREE_TEXT and (found := _UNFILLED.search(value)):
        raise ConfigError(f"{flag}: {found[0]} is the name of a variable that was not filled in: write its value there")
    return word


def _value(said: str, name: str, default: str | None, flag: str) -> str:
    value = os.environ.get(name) or default
    if not value:
        where = f"{flag}: " if flag else ""
        raise ConfigError(f"{where}the shell variable {said} is not set or is empty here: set it, or write its value")
    return value

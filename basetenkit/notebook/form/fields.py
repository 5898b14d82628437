"""One row of the form for each field of a pydantic model, made from the model's own schema: a new field of RunConfig or
Endpoint needs no second definition here.

Numbers and lists are text inputs on purpose: so a wrong value can be typed, and the model's error is shown next to it.
"""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import PurePath
from typing import Any, Literal, get_args, get_origin

import ipywidgets as w
import traitlets
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from ...config.model import OneOf
from ...core.errors import ConfigError
from ...core.markup import render
from ...core.secrets import looks_secret, redact, redact_url
from .words import for_people, label, unquoted

MASK = "***"
_BESIDE = {"flex": "1 1 200px", "min_width": "0"}
_NAMED = re.compile(r"""((?:--|")([\w-]+)"?\s*[=: ]\s*["']?)((?<=")[^"]+|(?<=')[^']+|[^\s"',}]+)""")
_COMMA = re.compile(r",\s*(?![^()]*\))")


class KeyInput(w.Password):  # type: ignore[misc]
    """A password input whose value the notebook kernel never sends back, not even as the echo of an update."""

    value = traitlets.Unicode("").tag(sync=True, echo_update=False)


class SecretiveText(w.Text):  # type: ignore[misc]
    """A text that may hold a secret, such as headers: it comes when it is whole, and like the key's input is never echoed."""

    value = traitlets.Unicode("").tag(sync=True, echo_update=False)


class PastedText(w.Textarea):  # type: ignore[misc]
    """A text area for what may hold a key, such as a command; likewise."""

    value = traitlets.Unicode("").tag(sync=True, echo_update=False)


class FieldRow(w.HBox):  # type: ignore[misc]
    """A labelled input and the sentence beside it. `given()`: what the model is to validate."""

    def __init__(self, name: str, info: FieldInfo) -> None:
        self.name, self.info = name, info
        self.kinds = _kinds(info.annotation)
        self.may_be_none = type(None) in get_args(info.annotation) or info.annotation is Any
        self.secret: SecretStr | None = None
        self._held: tuple[str, object] | None = None
        self.input = self._make_input()
        self.sentence = w.HTML(layout=_BESIDE)
        self.say("")
        super().__init__([self.input, self.sentence], layout=w.Layout(flex_flow="row wrap", width="100%"))
        self.add_class("bk-field")
        self.add_class(f"bk-field-{name}")

    @property
    def default(self) -> object:
        return None if self.info.is_required() else self.info.get_default(call_default_factory=True)

    def _make_input(self) -> w.DOMWidget:
        common = {
            "description": label(self.name),
            "tooltip": for_people(self.info.description or self.name),
            "layout": w.Layout(width="auto"),
        }
        if SecretStr in self.kinds:
            return KeyInput(continuous_update=False, **common)
        if get_origin(self.info.annotation) is Literal:
            return w.Dropdown(options=get_args(self.info.annotation), value=self.default, **common)
        for one_of in (extra for extra in self.info.metadata if isinstance(extra, OneOf)):
            return w.Dropdown(options=list(one_of.choices), value=self.default, **common)
        if self.kinds == {bool}:
            return w.Checkbox(self.default, **common)
        if self.secretive:
            common |= {"continuous_update": False}
        kind = SecretiveText if self.secretive else w.Text
        return kind(value=as_text(self.default), placeholder=self._placeholder(), **common)

    @property
    def secretive(self) -> bool:
        """Whether its text may contain a secret: in headers, a body's fields, a URL's query or user."""
        return dict in self.kinds or self.name in ("url", "proxy")

    def _placeholder(self) -> str:
        return "not set" if self.may_be_none else "none" if self.kinds & {list, dict} else ""

    def take_secret(self) -> None:
        """Takes what was typed into a SecretStr and empties the input at once."""
        if self.input.value:
            self.secret = SecretStr(self.input.value)
            self.input.value = ""
            self.input.placeholder = "a key is held (type another to replace it)"

    def mask(self) -> None:
        """Keep the current value, and show `***` for each secret in it."""
        if self.secretive and (shown := masked(self.input.value)) != self.input.value:
            held, self.input.value = self.input.value, shown
            self.stand_for(held)

    def show(self, value: object) -> None:
        self._held = None
        if SecretStr not in self.kinds:
            self.input.value = as_text(value) if isinstance(self.input, w.Text) else value

    def stand_for(self, value: object) -> None:
        """The current text of the input represents `value` until somebody changes it: a URL or headers whose secrets are
        not shown, a frame that no text can make."""
        self._held = (self.input.value, value)

    def given(self) -> object:
        if SecretStr in self.kinds:
            return self.secret
        value = self.input.value
        if self._held is not None and self._held[0] == value:
            return self._held[1]
        if self.secretive and MASK in value:
            raise ConfigError(f"{TYPE_AGAIN}", at=("RunConfig", self.name))
        if not isinstance(self.input, w.Text):
            return value
        value = unquoted(value)
        if bool in self.kinds and value in ("True", "False"):
            return value == "True"
        if list in self.kinds:
            return value if value.startswith("[") else [unquoted(part) for part in _COMMA.split(value) if part]
        if not value:
            return None if self.may_be_none else {} if dict in self.kinds else ""
        return value

    def say(self, sentence: str) -> None:
        """Shows what is wrong; "" for what the field is."""
        value = help_text(sentence or for_people(self.info.description or ""), wrong=bool(sentence))
        if value != self.sentence.value:  # each change is a message
            self.sentence.value = value


TYPE_AGAIN = f"{MASK} hides a secret; type the secret itself"


def masked(text: str) -> str:
    """`text` with `***` for each value under a name that looks like a secret's: in JSON, in a URL, after an option of a
    command. A URL's user goes, too."""
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        kept = redact(found)
        return text if kept == found else json.dumps(kept)
    if re.fullmatch(r"\w+://\S+", text):
        with contextlib.suppress(ValueError):
            return redact_url(text)
    return _NAMED.sub(lambda m: m[1] + MASK if looks_secret(m[2]) else m[0], text)


def field_row(given: w.DOMWidget, text: str) -> w.HBox:
    """An input that is no field of a model, laid out as one, with what it is for beside it."""
    row = w.HBox([given, w.HTML(help_text(text), layout=_BESIDE)], layout=w.Layout(flex_flow="row wrap", width="100%"))
    row.add_class("bk-field")
    return row


def help_text(text: str, *, wrong: bool = False) -> str:
    """The text next to an input: its description, or its error."""
    role, more = ("alert", " bk-wrong") if wrong else ("note", "")
    return render(
        '<span role="{{ role }}" class="bk-help{{ more }}">{{ text }}</span>', role=role, more=more, text=text
    )


def as_text(value: object) -> str:
    """A field's value as it is typed: nothing for None, a list with commas, an object as JSON; a frame by its kind."""
    if value is None or (isinstance(value, dict) and not value):
        return ""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", exclude_defaults=True)
    if not isinstance(value, (str, int, float, list, dict, PurePath)):
        return f"a {type(value).__name__} in memory"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _kinds(annotation: object) -> set[object]:
    """The plain types within an annotation, None and Annotated's extras left out."""
    origin = get_origin(annotation)
    if origin in (list, dict, Literal):
        return {origin}
    inner = [a for a in get_args(annotation) if isinstance(a, type) or get_args(a)]
    if not inner:
        return set() if annotation is type(None) else {annotation}
    return set().union(*(_kinds(a) for a in inner))

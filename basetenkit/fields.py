"""What the configuration's models are made of: a base whose errors are one sentence each, the coercions that papermill's
scalars need, and what counts as a secret."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from typing import Any, Self
from urllib.parse import unquote_plus, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from .display import html_table
from .errors import ConfigError

_SECRET_NAME = re.compile(
    r"auth|key|token|secret|password|passwd|credential|cookie|signature|(^|[^a-z])sig($|[^a-z])", re.I
)
# What of a name says the model's tokens, a cache's entry or a writer, and no credential. It is taken out before the search,
# so that `eos_token_secret` is one all the same; what is not listed here is masked rather than shown.
_HARMLESS = re.compile(
    r"(?<![a-z])(stop|eos|bos|pad|unk|sep|cls|mask|special|start|end|image|audio|think|decoder_start)[-_]?token"
    r"|(?<![a-z])(max|min|new|num|stop|stopping|special|suppress|bad|budget)[-_]?tokens"
    r"|(?<![a-z])(prompt|completion|input|output|reasoning|thinking)[-_]?tokens"
    r"|tokeni[sz]|token[-_]?(ids|count|limit|budget|usage)(?![a-z])|(?<![a-z])cache[-_]?key|keyword|author(?!i)",
    re.I,
)


def looks_secret(name: str) -> bool:
    """Whether what stands under this name, in a header, a query or a body, is taken for a secret."""
    return bool(_SECRET_NAME.search(_HARMLESS.sub("", name)))


def redact_url(url: str) -> str:
    """`url` without user info, and with `***` for each query value that looks like a secret; the rest stays as it is."""
    parts = urlsplit(url)
    query = "&".join(map(_redact_pair, parts.query.split("&")))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def _redact_pair(pair: str) -> str:
    name, has_value, _ = pair.partition("=")
    return f"{name}=***" if has_value and looks_secret(unquote_plus(name)) else pair


def without_secrets(value: Any) -> Any:
    """A JSON value with `***` for each text that stands, at whatever depth, under a key that looks like a secret's, itself
    or in a list. Numbers stay: they are counts and ids."""
    if isinstance(value, dict):
        return {k: _hidden(v) if looks_secret(str(k)) else without_secrets(v) for k, v in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def _hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return "***" if isinstance(value, str) else without_secrets(value)


def told_apart(data: Any) -> Any:
    """What tells a frame from any other: its size, and a hash of all it holds. Of anything else, its text, cut."""
    frame = data.collect() if hasattr(data, "collect") else data
    if not hasattr(frame, "write_ipc"):
        return str(data)[:200]
    content = frame.rechunk().write_ipc(None, compression="uncompressed").getvalue()
    return {"frame": f"sha256:{hashlib.sha256(content).hexdigest()}", "rows": frame.height, "columns": frame.columns}


def from_json(value: Any) -> Any:
    """A JSON list or object in a string (all that papermill's -p can give) becomes what it says."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"it is no valid JSON ({error})") from None
    return value


def as_list(value: Any) -> Any:
    value = from_json(value)
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (list, tuple, set, range)) else [value]


class Model(BaseModel):
    """A pydantic model whose errors are one sentence each."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=False, hide_input_in_errors=True, strict=False
    )

    def __repr__(self) -> str:
        fields = (name for name in type(self).model_fields if self._differs(name))
        given = ", ".join(f"{name}={without_secrets(getattr(self, name))!r}" for name in fields)
        return f"{type(self).__name__}({given})"

    __str__ = __repr__

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """What differs from the defaults, as a table; as text, the call that makes it. Secrets as in a dump."""
        names = [name for name in type(self).model_fields if self._differs(name)]
        dumped = self.model_dump(mode="json", include=set(names))
        rows = [{type(self).__name__: name, "value": self._shown(name, dumped[name])} for name in names]
        return {"text/html": html_table(rows)._repr_mimebundle_()["text/html"], "text/plain": repr(self)}

    def _shown(self, name: str, dumped: Any) -> str:
        value = getattr(self, name)
        return repr(value) if isinstance(value, Model) else "***" if isinstance(value, SecretStr) else str(dumped)

    def _differs(self, name: str) -> bool:
        field = type(self).model_fields[name]
        if field.is_required():
            return True
        value, default = getattr(self, name), field.get_default(call_default_factory=True)
        return value is not None if default is None else value != default  # a frame compares cell by cell

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise _readable(type(self), error) from None

    @classmethod
    def model_validate(cls, obj: Any, **kwargs: Any) -> Self:
        try:
            return super().model_validate(obj, **kwargs)
        except ValidationError as error:
            raise _readable(cls, error) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **kwargs: Any) -> Self:
        try:
            return super().model_validate_json(json_data, **kwargs)
        except ValidationError as error:
            raise _readable(cls, error) from None


def _readable(model: type[BaseModel], error: ValidationError) -> ConfigError:
    """One sentence for each error of a validation, as a ConfigError."""
    seen: dict[str, str] = {}
    for e in error.errors(include_url=False):
        place, owner, field = _place(model, e["loc"])
        inner = e.get("ctx", {}).get("error")
        if isinstance(inner, ConfigError):  # already whole sentences: a model's within this one, or a scenario's
            for line in str(inner).split("\n"):
                own = re.match(rf"{owner.__name__}(?=[.:])", line)
                said = place + line[own.end() :] if own else f"{place}: {line}"
                seen.setdefault(said, said)
        else:
            seen.setdefault(place, _sentence(owner, place, field, e))
    return ConfigError("\n".join(seen.values()))


def _place(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[str, type[BaseModel], FieldInfo | None]:
    """(where an error is, the model that is responsible for what is there, the field it is in)."""
    place, owner, field = [model.__name__], model, None
    for step in loc:
        if not isinstance(step, str) or step.startswith("function-"):
            continue
        place.append(step)
        inner = owner.model_fields.get(step)
        if inner is None:
            break
        field = inner
        if isinstance(inner.annotation, type) and issubclass(inner.annotation, BaseModel):
            owner = inner.annotation
    return ".".join(place), owner, field


def _sentence(owner: type[BaseModel], place: str, field: FieldInfo | None, e: Any) -> str:
    _, nested, name = place.rpartition(".")
    if e["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, owner.model_fields, 1)
        right = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(owner.model_fields)}"
        return f"{place}: there is no such field; {right}"
    what = e["msg"].removeprefix("Value error, ")
    if not nested:
        return f"{place}: {what}"
    value = "" if e["type"] == "missing" or _may_hold_secret(name, field, e["input"]) else f"{e['input']!r}"[:80] + " "
    what = (what[0].lower() + what[1:]).replace("input should", "should")
    right = f"; {field.description}" if field is not None and field.description else ""
    return f"{place}: {value}{what}{right}"


def _may_hold_secret(name: str, field: FieldInfo | None, value: Any) -> bool:
    """Whether a wrong value must not be shown: what it would have been, had it been right, has places for secrets."""
    within = field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    return within or looks_secret(name) or name in ("url", "headers") or isinstance(value, dict)

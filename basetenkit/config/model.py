"""The base class of the configuration's models; its errors are one sentence each."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticKnownError, core_schema

from ..core.errors import ConfigError, Location
from ..core.frozen import FrozenDict, FrozenList
from ..core.secrets import looks_secret, redact
from ..core.tables import html_table
from .coercions import as_plain
from .hints import field_hint, value_hint


@dataclass(frozen=True)
class OneOf:
    """Annotates a field whose value is a key of `choices`. Keys may be added later."""

    choices: Mapping[str, object]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def _checked(self, value: object) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        *others, last = map(repr, self.choices)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})


class Model(BaseModel):
    """A pydantic model whose errors are one sentence each."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=False, hide_input_in_errors=True, strict=False
    )

    renamed: ClassVar[dict[str, str]] = {}  # earlier name -> name, for fields that still accept the earlier name

    @classmethod
    def _by_todays_names(cls, given: Mapping[str, object]) -> dict[str, object]:
        """The given values under the current names of their fields. ConfigError if a field is given by both of its names."""
        twice = [old for old, new in cls.renamed.items() if old in given and new in given]
        if twice:
            raise ConfigError(
                f"it is the earlier name of {cls.renamed[twice[0]]}; give only one of them", at=(cls.__name__, twice[0])
            )
        return {cls.renamed.get(name, name): value for name, value in given.items()}

    def __repr__(self) -> str:
        fields = (name for name in type(self).model_fields if self._differs(name))
        given = ", ".join(f"{name}={redact(getattr(self, name))!r}" for name in fields)
        return f"{type(self).__name__}({given})"

    __str__ = __repr__

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What differs from the defaults, as a table; as text, the call that makes it. Secrets as in a dump."""
        names = [name for name in type(self).model_fields if self._differs(name)]
        dumped = self.model_dump(mode="json", include=set(names))
        rows = [{type(self).__name__: name, "value": self._shown(name, dumped[name])} for name in names]
        return {"text/html": html_table(rows)._repr_mimebundle_()["text/html"], "text/plain": repr(self)}

    def _shown(self, name: str, dumped: object) -> str:
        value = getattr(self, name)
        return repr(value) if isinstance(value, Model) else "***" if isinstance(value, SecretStr) else str(dumped)

    def _differs(self, name: str) -> bool:
        field = type(self).model_fields[name]
        if field.is_required():
            return True
        value, default = getattr(self, name), field.get_default(call_default_factory=True)
        return value is not None if default is None else value != default  # a frame compares cell by cell

    def __init__(self, *first: object, **data: object) -> None:
        name = type(self).__name__
        if first:
            field = next(iter(type(self).model_fields))
            if len(first) > 1 or field in data:
                raise ConfigError(f"only {field} may be given without its name, e.g. {name}({field}, ...)", at=(name,))
            data = {field: first[0]} | data
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise _readable(type(self), error) from None

    @model_validator(mode="before")
    @classmethod
    def _plain_scalars(cls, data: object) -> object:
        """Scalars of numpy as Python's. A model within this one has the names of its fields as keys."""
        if not isinstance(data, dict):
            return data
        data = cls._by_todays_names(data)
        for name, field in cls.model_fields.items():
            if name in data and _model_in(field.annotation):
                _check_keys(data[name], (cls.__name__, name))
        return {name: as_plain(value) for name, value in data.items()}

    @model_validator(mode="after")
    def _freeze(self) -> Self:
        """Lists and dicts refuse changes too, because their values were validated."""
        kind = type(self).__name__
        for name, value in self.__dict__.items():
            cure = f"{_own_name(kind)}.with_({name}=...)"
            if type(value) is list:
                self.__dict__[name] = FrozenList.of(value, (kind, name), cure)
            elif type(value) is dict:
                self.__dict__[name] = FrozenDict.of(value, (kind, name), cure)
        return self

    def with_(self, **changes: object) -> Self:
        """A copy with other values in these fields, validated as the constructor validates them; secrets stay in it."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**(given | self._by_todays_names(changes)))

    def model_copy(self, *, update: Mapping[str, object] | None = None, deep: bool = False) -> Self:
        """A copy; what `update` changes is validated as the constructor validates it. ConfigError as there."""
        _check_keys(update, (type(self).__name__, "model_copy"))
        return super(Model, self.with_(**(update or {}))).model_copy(deep=deep)

    if not TYPE_CHECKING:  # so that a type checker reports an attribute that is not a field

        def __setattr__(self, name: str, value: object) -> None:
            self._refuse_change(name)
            super().__setattr__(name, value)

        def __delattr__(self, name: str) -> None:
            self._refuse_change(name)
            super().__delattr__(name)

    def _refuse_change(self, name: str) -> None:
        if name.startswith("_"):
            return
        kind = type(self)
        if name not in kind.model_fields:
            raise ConfigError(_no_such_field(kind, name), at=(kind.__name__, name))
        own = _own_name(kind.__name__)
        raise ConfigError(
            f"it is frozen and cannot be changed in place; make a changed copy: {own} = {own}.with_({name}=...)",
            at=(kind.__name__, name),
        )

    @classmethod
    def model_validate(cls, obj: object, **kwargs: Any) -> Self:
        _check_keys(obj, (cls.__name__,))
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


def _own_name(kind: str) -> str:
    """What a reader calls a model of this kind."""
    return {"RunConfig": "config"}.get(kind, kind.lower())


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The model that a field holds, also if it may be None."""
    kinds = [kind for kind in (annotation, *get_args(annotation)) if _is_model(kind)]
    return kinds[0] if kinds else None


def _check_keys(given: object, at: Location) -> None:
    """ConfigError if `given` is a dict with keys that cannot be names of fields."""
    odd = [key for key in given if not isinstance(key, str)] if isinstance(given, Mapping) else []
    if odd:
        raise ConfigError(f"the key {odd[0]!r} is not the name of a field; keys are text", at=at)


def _readable(model: type[BaseModel], error: ValidationError) -> ConfigError:
    """One (location, sentence) for each error of a validation, as a ConfigError."""
    found: list[tuple[Location, str]] = []
    told: set[Location] = (
        set()
    )  # places that already have a sentence: each branch of a union reports an error, and the first one counts
    for e in error.errors(include_url=False):
        place, owner, field = _place(model, e["loc"])
        inner = e.get("ctx", {}).get("error")
        if isinstance(inner, ConfigError):  # already sentences: from a nested model or a scenario
            moved = [(place + at[1:] if at[:1] == (owner.__name__,) else place + at, said) for at, said in inner.errors]
            found += [one for one in moved if one not in found]
        elif place not in told:
            told.add(place)
            found.append((place, _sentence(owner, place, field, e)))
    return ConfigError(errors=found)


def _place(model: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[Location, type[BaseModel], FieldInfo | None]:
    """(location of an error, the model that owns this location, its field)."""
    place, owner, field = [model.__name__], model, None
    for step in loc:
        if not isinstance(step, str) or step.startswith("function-"):
            continue
        place.append(step)
        inner = owner.model_fields.get(step)
        if inner is None:
            break
        field = inner
        owner = _model_in(inner.annotation) or owner
    return tuple(place), owner, field


def _sentence(owner: type[BaseModel], place: Location, field: FieldInfo | None, e: ErrorDetails) -> str:
    name = place[-1]
    if e["type"] == "extra_forbidden":
        return _no_such_field(owner, name)
    own = e.get("ctx", {}).get("error")
    what = str(own) if isinstance(own, ValueError) else e["msg"]
    if len(place) == 1:
        return what
    value = "" if e["type"] == "missing" or _may_hold_secret(name, field, e["input"]) else f"{e['input']!r}"[:80] + " "
    what = (what[0].lower() + what[1:]).replace("input should", "should")
    right = f"; {field.description}" if field is not None and field.description else ""
    hint = value_hint(name, e["input"])
    return f"{value}{what}{right}{f'; {hint}' if hint else ''}"


def _no_such_field(owner: type[BaseModel], name: str) -> str:
    near = difflib.get_close_matches(name, owner.model_fields, 1)
    if known := field_hint(name, owner.model_fields):
        right = f"here it is called {known!r}"
    else:
        right = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(owner.model_fields)}"
    return f"there is no such field; {right}"


def _may_hold_secret(name: str, field: FieldInfo | None, value: object) -> bool:
    """Whether a wrong value must not be shown: what it would have been, had it been right, has places for secrets."""
    within = field is not None and _is_model(field.annotation)
    return within or looks_secret(name) or name in ("url", "headers") or isinstance(value, dict)

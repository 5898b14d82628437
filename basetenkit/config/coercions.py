"""Values from people and tools -> the plain value that a field or a call takes.

Parameters come from papermill (which turns text into numbers), numpy, polars, pandas, a shell, and people. Each function here
accepts a value that has one possible meaning only, and refuses others with a sentence that says what to write instead.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError

RAW = "papermill's -p converts text to numbers: use -r, or quotation marks in Python"
UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}
_LONG_UNITS = {"sec": "s", "secs": "s", "second": "s", "seconds": "s", "mins": "min", "minute": "min", "minutes": "min"}
_LONG_UNITS |= {"millisecond": "ms", "milliseconds": "ms", "hour": "h", "hours": "h"}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-zµ]+)", re.I)
_STATISTIC = re.compile(r"(.+?)_(p\d+(?:\.\d+)?|mean|min|max|stddev|sum)")


def as_plain(value: Any) -> object:
    """A numpy scalar or zero-dimensional array as a Python value; anything else unchanged."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "dtype") else value


def as_text(value: object) -> Any:
    """A whole number or a path as text. ValueError for any other number, because its original text is unknown."""
    value = as_plain(value)
    if isinstance(value, bool | float):
        raise ValueError(f"is not text; {RAW}")
    if isinstance(value, int):
        return str(value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def as_text_values(value: object) -> object:
    """`as_text` for each value of a dict, which may also come as JSON text."""
    value = from_json(value)
    return {key: as_text(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def as_path(value: object, where: str) -> Path:
    """The path that a call was given; `where` names the argument in the ConfigError for a value that is not a path."""
    try:
        text = as_text(value)
    except ValueError as error:
        raise ConfigError(f"{where}: {value!r} {error}") from None
    if not isinstance(text, str):
        raise ConfigError(f"{where}: a {type(value).__name__} is not a path; give text or a pathlib.Path")
    if "\0" in text:
        raise ConfigError(f"{where}: the path contains a NUL character")
    return Path(text)


def is_path(value: object) -> bool:
    """Whether `value` was meant as a path: text, a Path, or the number that papermill made of a folder's name."""
    return isinstance(as_plain(value), str | os.PathLike | int | float) and not isinstance(value, bool)


def from_json(value: object) -> object:
    """A list or object in a string, as JSON or as Python writes it, becomes that list or dict."""
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        try:
            found = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = None
        if isinstance(found, list | dict):
            return found
        raise ValueError(f"it is not valid JSON ({error})") from None


def as_list(value: object) -> list[object]:
    """One value or several, however they came, as a list: of Python, numpy, polars, pandas, or as text."""
    value = from_json(as_plain(value))
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if not isinstance(value, list | tuple | set | frozenset | range):
        several = _array(value)
        if several is None:
            return [value]
        value = several
    return [as_plain(item) for item in value]


def _array(value: object) -> list[object] | None:
    """The values of an array or a Series; None for anything else."""
    for name in ("to_list", "tolist"):
        convert = getattr(value, name, None)
        if callable(convert):
            found = convert()
            return found if isinstance(found, list) else None
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
        return list(value)
    return None


def as_levels(value: object) -> object:
    """`as_list`, and text such as "1,8", "1 8" or "(1, 8)" as its numbers."""
    if isinstance(value, str) and value.strip()[:1] not in ("[", "{"):
        return re.split(r"[\s,;]+", value.strip().strip("()").strip(" ,;")) if value.strip() else []
    return as_list(value)


def as_scenarios(value: object) -> list[object]:
    """`as_list`; text is split into scenarios at commas, semicolons and line ends outside parentheses."""
    if not isinstance(value, str) or value.strip()[:1] in ("[", "{"):
        return [as_text(item) for item in as_list(value)]
    parts, depth, start = [], 0, 0
    for at, character in enumerate(value):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character in ",;\n":
            parts.append(value[start:at])
            start = at + 1
    return [part for part in (*parts, value[start:]) if part.strip()]


def as_seconds(value: object) -> object:
    """A time in s: a number, a timedelta, or text with a unit such as "500ms", "2 s" or "10 min"."""
    value = as_plain(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    found = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return value
    unit = _LONG_UNITS.get(found[2].lower(), found[2].lower())
    if unit not in UNITS:
        raise ValueError(f"its unit is not one of {', '.join(UNITS)}")
    return float(found[1]) * UNITS[unit]


def metric_name(name: object, known: Iterable[str]) -> str | None:
    """The name in `known` that `name` means: "ttft" is understood as "ttft_s", "ttft_p95" as "ttft_s_p95"; None for none."""
    if not isinstance(name, str):
        return None
    names, bare = set(known), name.strip().lower().replace("-", "_")
    forms = [name, bare, f"{bare}_s"]
    for text in (bare, bare.removesuffix("_s")):
        if found := _STATISTIC.fullmatch(text):
            forms += [f"{found[1]}_s_{found[2]}", f"{found[1]}_{found[2]}"]
    return next((form for form in forms if form in names), None)

"""What a run's `dataset` says -> its entries: prompts, and images where it has them.

It is a path (.txt, .csv, .json, .jsonl, .parquet, a folder of images or of a Hugging Face data set on disk), a polars frame,
or the description that genai-bench takes as a JSON file, given as a dict or as that file's path. All of it is read before
anything is sent, so that what is wrong with it costs nothing. A column of lists of messages (`messages`, `conversations`, or
the one that `messages_column` names) makes conversations of them: see `conversations`.

`dataset`, `RD` and `RDC` send entries as they are: nothing is cut, filled up or left out. Under a scenario that says how long
a prompt is, the prompts are made of the entries' words: see `writer`.

genai-bench evaluates a `prompt_lambda` from its file as Python. Here that is refused: a file must not run code. The error
says which column to make in its place.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from ..config import RunConfig
from ..errors import DataError
from ..scenario import parse_scenario
from . import conversations, hub_data, images
from .conversations import Conversation
from .images import Picture

PROMPT = "prompt"
ABOUT_AN_IMAGE = "Describe this image"
_FORMATS = ("txt", "csv", "json", "jsonl", "parquet")
_KEYS = {"source", "prompt_column", "image_column", "prompt_lambda", "unsafe_allow_large_images", "messages_column"}
_VISION = "image-text-to-text"


@dataclass(frozen=True, eq=False)
class Entries:
    """A data set: `prompts`, at least one, and `pictures`, either none or one a prompt; or `conversations`, whose first
    questions the prompts then are."""

    prompts: Sequence[str]
    pictures: Sequence[Picture] = ()
    conversations: Sequence[Conversation] = ()

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def texts(self) -> Sequence[str]:
        """What prompts of a length are made of: the prompts, or all that is said in the conversations."""
        if not self.conversations:
            return () if self.pictures else self.prompts
        return [text for talk in self.conversations for turn in talk for text in turn.texts]


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns a description names."""

    prompts: str | None = None
    pictures: str | None = None
    messages: str | None = None

    @property
    def named(self) -> list[str]:
        return [name for name in (self.prompts, self.pictures, self.messages) if name is not None]

    @classmethod
    def of(cls, given: dict[str, Any]) -> Columns:
        return cls(given.get("prompt_column"), given.get("image_column"), given.get("messages_column"))


def load(config: RunConfig) -> Entries | None:
    """The entries of `config.dataset`, None where there is none. DataError, one sentence, where they cannot be had or are
    not of the task's kind."""
    if config.dataset is None:
        return None
    entries = _entries(config.dataset)
    if entries.conversations and any(parse_scenario(text).needs_data for text in config.scenarios):
        conversations.check(config)
    if entries.pictures and config.task != _VISION:
        raise DataError(f"dataset: it has images, and the task is {config.task!r}; use task={_VISION!r}")
    if not entries.pictures and config.task == _VISION:
        raise DataError(f"dataset: the task {config.task!r} needs images; give a folder of images, or an image_column")
    return entries


def _entries(given: Any) -> Entries:
    if isinstance(given, pl.LazyFrame):
        given = given.collect()
    if isinstance(given, pl.DataFrame):
        return _of_frame(given, "the frame", Columns(), Path())
    if isinstance(given, dict):
        return _described(given)
    if isinstance(given, (str, Path)) and str(given):
        return _at(Path(given).expanduser())
    raise DataError(f"dataset: it is a {type(given).__name__}; give a path, a polars frame, or a description as a dict")


def _at(path: Path) -> Entries:
    if path.is_dir() and hub_data.was_saved_to_disk(path):
        return _of_frame(hub_data.read({"path": str(path)}), repr(str(path)), Columns(), path)
    if path.is_dir():
        pictures = images.read_all(images.paths_in(path))
        return Entries([ABOUT_AN_IMAGE] * len(pictures), pictures)
    kind = path.suffix.lower().removeprefix(".")
    if kind == "json":
        document = _json(path)
        if isinstance(document, dict) and "source" in document:
            return _described(document)
    return _of_file(path, kind, Columns())


def _described(given: dict[str, Any]) -> Entries:
    """The entries that a description such as genai-bench's names."""
    if "frame" in given:
        raise DataError("dataset: a frame is not saved with its run, only what tells it from another; give it again")
    if unknown := sorted(set(given) - _KEYS):
        raise DataError(f"dataset: there is no field {unknown[0]!r}; the fields are {', '.join(sorted(_KEYS))}")
    if code := given.get("prompt_lambda"):
        raise DataError(_in_place_of(str(code)))
    if given.get("unsafe_allow_large_images"):
        raise DataError("dataset: unsafe_allow_large_images is not taken; make such images smaller and leave it out")
    source, columns = given.get("source"), Columns.of(given)
    if isinstance(source, dict) and source.get("type") == "huggingface":
        return _of_frame(hub_data.read(source, columns.named), repr(source.get("path")), columns, Path())
    if not isinstance(source, dict) or source.get("type") != "file" or not isinstance(source.get("path"), str):
        raise DataError(
            "dataset: its source must be {'type': 'file' or 'huggingface', 'path': ...}; load other data yourself and give "
            "a polars frame"
        )
    path = Path(source["path"]).expanduser()
    if path.is_dir() and hub_data.was_saved_to_disk(path):
        return _of_frame(hub_data.read(source, columns.named), repr(str(path)), columns, path)
    if path.is_dir():
        return _at(path)
    kind = source.get("file_format") or path.suffix.removeprefix(".")
    return _of_file(path, str(kind).lower(), columns)


def _of_file(path: Path, kind: str, columns: Columns) -> Entries:
    if kind not in _FORMATS:
        raise DataError(
            f"dataset: {str(path)!r} is of no known format; it can be a folder of images or {', '.join(_FORMATS)}"
        )
    if not path.is_file():
        raise DataError(
            f"dataset: there is no file {str(path)!r}; give the path of one, from {str(Path.cwd())!r} or whole"
        )
    try:
        frame = _frame(path, kind)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        why = str(error).strip().splitlines()[0].rstrip(".:")[:160] if str(error).strip() else type(error).__name__
        raise DataError(f"dataset: {str(path)!r} cannot be read as {kind} ({why})") from None
    return _of_frame(frame, repr(str(path)), columns, path.parent)


def _frame(path: Path, kind: str) -> pl.DataFrame:
    """The file as a frame of texts; lists of texts and lines are its column `prompt`."""
    if kind == "parquet":
        return pl.read_parquet(path)
    if kind == "csv":
        return pl.read_csv(path, infer_schema=False) if path.stat().st_size else pl.DataFrame()
    if kind == "json":
        return _of_list(json.loads(path.read_text("utf-8-sig")))
    lines = [line for line in path.read_text("utf-8-sig").split("\n") if line.strip()]
    return _of_list([json.loads(line) if kind == "jsonl" else line.rstrip("\r") for line in lines])


def _of_list(items: Any) -> pl.DataFrame:
    if not isinstance(items, list):
        raise ValueError("it is no list of texts or of objects")
    if all(isinstance(item, str) for item in items):
        return pl.DataFrame({PROMPT: items}, schema={PROMPT: pl.String})
    if all(isinstance(item, list) for item in items):
        items = [{conversations.COLUMNS[0]: item} for item in items]
    if not all(isinstance(item, dict) for item in items):
        raise ValueError("it is no list of texts only, or of objects only")
    return pl.from_dicts(items, infer_schema_length=None)


def _of_frame(frame: pl.DataFrame, name: str, columns: Columns, near: Path) -> Entries:
    if frame.is_empty():
        raise DataError(f"dataset: {name} has no entries; give at least one")
    if (messages := columns.messages or _messages_column(frame, columns)) is not None:
        _there(frame, name, messages, "messages_column")
        held = conversations.read_column(frame[messages], name)
        return Entries([talk[0].said[-1]["content"] for talk in held], conversations=held)
    prompts, found = columns.prompts, () if columns.pictures is None else _pictures(frame, name, columns.pictures, near)
    if prompts is None and found and PROMPT not in frame.columns:
        return Entries([ABOUT_AN_IMAGE] * len(found), found)
    return Entries(_texts(frame, name, prompts or _prompt_column(frame, name), "prompt_column"), found)


def _messages_column(frame: pl.DataFrame, columns: Columns) -> str | None:
    """The column of conversations, where nothing else is named or there to be sent."""
    if columns.prompts or columns.pictures or PROMPT in frame.columns:
        return None
    named = [c for c in conversations.COLUMNS if c in frame.columns and conversations.holds_messages(frame.schema[c])]
    return named[0] if named else None


def _there(frame: pl.DataFrame, name: str, column: str, field: str) -> None:
    if column not in frame.columns:
        columns = ", ".join(frame.columns[:12])
        raise DataError(f"dataset: {name} has no column {column!r}; {field} can be one of {columns}")


def _prompt_column(frame: pl.DataFrame, name: str) -> str:
    if PROMPT in frame.columns or frame.width == 1:
        return PROMPT if PROMPT in frame.columns else frame.columns[0]
    columns = ", ".join(frame.columns[:12])
    raise DataError(f"dataset: {name} has no column {PROMPT!r}; rename one, or give prompt_column (it has {columns})")


def _texts(frame: pl.DataFrame, name: str, column: str, field: str) -> list[str]:
    """A column's texts. DataError where it is not there, holds no text, or holds an empty one."""
    _there(frame, name, column, field)
    series = frame[column]
    if series.dtype not in (pl.String, pl.Categorical, pl.Null) and not isinstance(series.dtype, pl.Enum):
        raise DataError(f"dataset: column {column!r} of {name} holds {series.dtype}, and must hold texts")
    texts = series.cast(pl.String).to_list()
    if (bad := next((i for i, text in enumerate(texts) if not (text or "").strip()), None)) is not None:
        raise DataError(f"dataset: row {bad + 1} of column {column!r} of {name} is empty; fill it in or take it out")
    return [str(text) for text in texts]


def _pictures(frame: pl.DataFrame, name: str, column: str, near: Path) -> list[Picture]:
    """The images whose paths stand in a column, from the data's own folder on; or whose bytes do."""
    _there(frame, name, column, "image_column")
    if isinstance(kind := frame.schema[column], pl.Struct) and {"bytes", "path"} <= {
        field.name for field in kind.fields
    }:
        return images.read_all(_embedded(frame[column], f"column {column!r} of {name}", near))
    return images.read_all(near / Path(text).expanduser() for text in _texts(frame, name, column, "image_column"))


def _embedded(series: pl.Series, where: str, near: Path) -> Iterator[Path | tuple[bytes, str]]:
    """A column of images as Hugging Face's data sets hold them: their bytes, or else where they are."""
    for i, value in enumerate(series.to_list()):
        data, path = (value or {}).get("bytes"), (value or {}).get("path")
        if data is None and path is None:
            raise DataError(f"dataset: row {i + 1} of {where} is empty; fill it in or take it out")
        yield near / str(path) if data is None else (data, f"row {i + 1} of {where}")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return None  # it is read again as the data themselves, and then told what is wrong


def _in_place_of(code: str) -> str:
    column = _expression(code) or "pl.format('... {}', pl.col('...'))"
    return (
        "dataset: prompt_lambda is code and is not run; give a frame with the column in its place: "
        f"dataset=frame.select(prompt={column})"
    )


def _expression(code: str) -> str | None:
    """The polars expression that says what a simple `lambda item: ...` does; None where it is not simple."""
    try:
        tree = ast.parse(code.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    body = tree.body if isinstance(tree, ast.Lambda) else None
    if isinstance(body, ast.Constant) and isinstance(body.value, str):
        return f"pl.lit({body.value!r})"
    if (key := _key(body)) is not None:
        return f"pl.col({key!r})"
    if not isinstance(body, ast.JoinedStr):
        return None
    parts = [v.value if isinstance(v, ast.Constant) else _key(v.value) for v in body.values]  # type: ignore[attr-defined]
    if not all(isinstance(part, str) for part in parts):
        return None
    held = [isinstance(v, ast.Constant) for v in body.values]
    text = "".join(str(part) if plain else "{}" for part, plain in zip(parts, held, strict=True))
    columns = [f"pl.col({part!r})" for part, plain in zip(parts, held, strict=True) if not plain]
    return f"pl.format({', '.join([repr(text), *columns])})"


def _key(node: Any) -> str | None:
    """The key of `item["key"]`."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    return None

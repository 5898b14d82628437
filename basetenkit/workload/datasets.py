"""Reads a run's `dataset` into entries: prompts or conversations, and images if it has them.

It is a path (.txt, .csv, .tsv, .json, .jsonl, .ndjson, .parquet, a folder of images or of a Hugging Face data set on disk), a
frame (polars, pandas, Arrow, numpy), or the description that genai-bench takes as a JSON file, given as a dict or as that
file's path. All of it is read before anything is sent, so an error in it costs nothing. These are the forms of rows:

| form of a row | columns or keys | what is sent |
|---|---|---|
| a prompt | `prompt`, or the only column, or `instruction`, `question`, `query`, `text`; `prompt_column` | the text |
| Alpaca | `instruction`, `input` (or `context`) | the instruction, an empty line, the input |
| a conversation | `messages`, `conversations`, `conversation`, `dialogue`; `messages_column` | turn by turn |
| ShareGPT | the same, with `from` and `value` | turn by turn |
| several questions | `turns`: a list of texts | each as a turn |
| a logged body | `model` and `messages` or `prompt`, and parameters | as one request, with its parameters |
| a batch file | `custom_id` and `body` (or `params`, `request`, `payload`) | the body, in the same way |
| a system prompt | `system`, `system_prompt`, `system_message`, `instructions` | as the first message |
| a limit per row | `max_tokens`, `max_completion_tokens`, `max_new_tokens`, `output_tokens`, `output_len` | as the row's limit |
| tools, parameters | `tools`, `tool_choice`, `temperature`, `top_p`, `response_format` | with the row's request |

The name after a semicolon is the field of a description that names another column. `row_fields` in the source has all names.
Case, spaces, hyphens and underscores in names do not matter (`maxTokens`, `Max tokens`). The model and `stream` always come
from the endpoint. Settings of the run replace values of a row: `request_params`, and a length in the scenario, such as
`RD(200)`.

`dataset`, `RD` and `RDC` send entries unchanged: nothing is cut or filled up. Rows that cannot be sent are left out: rows
without a question, with half an emoji or a NUL, or with an unknown speaker. The findings `data_left_out` and `data_unsent` list
rows and columns that are not sent. The first line of a CSV with one column is a prompt if it looks like a text; if this is not
certain, the finding `data_header` reports how it was read. Columns of only numbers, dates or times are never sent, and images
within messages are refused. If the scenario sets the length of prompts, they are made of the entries' words.
genai-bench runs a `prompt_lambda` of its file as Python. Here it is refused, and the error names a replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from ..config.run_config import RunConfig
from ..config.scenarios import parse_scenario
from ..core.errors import DataError
from ..core.frames import columns_of
from . import conversations, data_account, hub_data, images, known_forms, prompt_columns, row_fields, text_files
from .conversations import Conversation, turns_of
from .data_account import Account
from .images import Picture
from .prompt_columns import PROMPT, QUESTIONS
from .prompt_lambda import in_place_of
from .row_fields import Fields
from .speakers import messages_of
from .table import LeftOut, Table, Unfit, opened, same, sound

T = TypeVar("T")
ABOUT_AN_IMAGE = "Describe this image"
_FORMATS = ("txt", "csv", "tsv", "json", "jsonl", "ndjson", "parquet")
_ELSEWHERE = {
    "xlsx": "pl.read_excel(path)", "xls": "pl.read_excel(path)", "arrow": "pl.read_ipc(path)", "feather": "pl.read_ipc(path)",
    "ipc": "pl.read_ipc(path)", "avro": "pl.read_avro(path)", "ods": "pl.read_ods(path)",
}  # fmt: skip
_KEYS = {"source", "prompt_column", "image_column", "prompt_lambda", "unsafe_allow_large_images", "messages_column"}
_VISION = "image-text-to-text"
_LARGEST_DESCRIPTION = 1 << 20  # bytes


@dataclass(frozen=True, eq=False)
class Entries:
    """A data set: `prompts`, at least one, and `pictures`, either none or one a prompt; or `conversations`, whose first
    questions the prompts then are. `systems` and `params`: the system prompt (only of prompts) and the payload's parameters
    of each entry, or none at all. `account`: which parts of the data set are sent."""

    prompts: Sequence[str]
    pictures: Sequence[Picture] = ()
    conversations: Sequence[Conversation] = ()
    systems: Sequence[str] = ()
    params: Sequence[dict[str, object]] = ()
    account: Account = field(default_factory=Account)

    def __len__(self) -> int:
        return len(self.prompts)

    @cached_property
    def texts(self) -> Sequence[str]:
        """What prompts of a length are made of: the prompts, or all texts of the conversations."""
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
    """The entries of `config.dataset`, None without one. DataError, one sentence, if they cannot be read or are not of the
    task's kind."""
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


def events(config: RunConfig, entries: Entries | None) -> list[dict[str, Any]]:
    """What a run's findings have to say of its data set, as events: rows left out, columns not sent."""
    return [] if entries is None else data_account.account_events(config, entries.account)


def _entries(given: object) -> Entries:
    if isinstance(given, dict):
        return _described(given)
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)  # a folder or file of that name
    if isinstance(given, (str, Path)) and str(given):
        return _at(Path(given).expanduser())
    columns = columns_of(given)
    if isinstance(columns, pl.DataFrame):
        return _of_table(Table.of_frame(columns, "the frame"), Columns(), Path())
    if columns is not None:
        return _of_table(Table.of_columns(columns, "the frame"), Columns(), Path())
    kind = list if isinstance(given, list) else type(given)
    raise DataError(f"dataset: it is a {kind.__name__}; give a path, a polars frame, or a description as a dict")


def _at(path: Path) -> Entries:
    _can_be(path)
    if path.is_dir() and hub_data.was_saved_to_disk(path):
        return _of_hub({"path": str(path)}, str(path), Columns(), path)
    if path.is_dir():
        if (data := _data_in(path)) and not images.are_in(path):
            raise DataError(
                f"dataset: the folder {str(path)!r} has no images but files of data; give one of them, e.g. {str(data[0])!r}"
            )
        pictures = images.read_all(images.paths_in(path))
        return Entries([ABOUT_AN_IMAGE] * len(pictures), pictures, account=Account(rows=len(pictures)))
    kind = path.suffix.lower().removeprefix(".")
    if kind == "json" and path.is_file() and path.stat().st_size < _LARGEST_DESCRIPTION:
        document = _json(path)
        if isinstance(document, dict) and "source" in document:
            return _described(document)
    return _of_file(path, kind, Columns())


def _data_in(folder: Path) -> list[Path]:
    """The files of a folder, and of those in it, that could be a data set."""
    found = [path for pattern in ("*", "*/*") for path in sorted(folder.glob(pattern))]
    return [path for path in found if path.suffix.lower().removeprefix(".") in _FORMATS and path.is_file()]


def _can_be(path: Path) -> None:
    """DataError if the system cannot have a path like this: one that is too long, or has a NUL."""
    try:
        path.stat()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it has a NUL character"
        raise DataError(f"dataset: {str(path)[:60]!r} cannot be the path of a file ({why}); give another") from None


def _of_hub(source: dict[str, object], name: str, columns: Columns, near: Path) -> Entries:
    frame, unread = hub_data.read_hub(source, columns.named, row_fields.is_known)
    return _of_table(Table.of_frame(frame, repr(name), unread), columns, near)


def _described(given: dict[str, object]) -> Entries:
    """The entries that a description such as genai-bench's names."""
    if "frame" in given:
        raise DataError("dataset: a frame is not saved with its run, only what tells it from another; give it again")
    if unknown := sorted(set(given) - _KEYS):
        raise DataError(f"dataset: there is no field {unknown[0]!r}; the fields are {', '.join(sorted(_KEYS))}")
    if code := given.get("prompt_lambda"):
        raise DataError(in_place_of(str(code), given))
    if given.get("unsafe_allow_large_images"):
        raise DataError("dataset: unsafe_allow_large_images is not taken; make such images smaller and leave it out")
    source, columns = given.get("source"), Columns.of(given)
    if isinstance(source, dict) and source.get("type") == "huggingface":
        return _of_hub(source, str(source.get("path")), columns, Path())
    if not isinstance(source, dict) or source.get("type") != "file" or not isinstance(source.get("path"), str):
        raise DataError(
            "dataset: its source must be {'type': 'file' or 'huggingface', 'path': ...}; load other data yourself and give "
            "a polars frame"
        )
    path = Path(source["path"]).expanduser()
    _can_be(path)
    if path.is_dir() and hub_data.was_saved_to_disk(path):
        return _of_hub(source, str(path), columns, path)
    if path.is_dir():
        return _at(path)
    kind = source.get("file_format") or path.suffix.removeprefix(".")
    return _of_file(path, str(kind).lower(), columns)


def _of_file(path: Path, kind: str, columns: Columns) -> Entries:
    if kind not in _FORMATS:
        frame = f"; give the frame {_ELSEWHERE[kind]}" if kind in _ELSEWHERE else ""
        raise DataError(
            f"dataset: {str(path)!r} is of no known format; it can be a folder of images or {', '.join(_FORMATS)}{frame}"
        )
    if not path.is_file():
        raise DataError(
            f"dataset: there is no file {str(path)!r}; give the path of one, from {str(Path.cwd())!r} or whole"
        )
    name = repr(str(path))
    try:
        if kind == "parquet":
            text_files.encoding_of(path, kind)
            table = Table.of_frame(pl.read_parquet(path), name)
        else:
            table = text_files.read_text_file(path, "jsonl" if kind == "ndjson" else kind, name, columns.named)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        why = str(error).strip().splitlines()[0].rstrip(".:")[:300] if str(error).strip() else type(error).__name__
        raise DataError(f"dataset: {name} cannot be read as {kind} ({why})") from None
    return _of_table(table, columns, path.parent)


def _of_table(table: Table, columns: Columns, near: Path) -> Entries:
    if not table.height:
        line = f": its only line, {table.first_line!r}, was taken as its header" if table.first_line else ""
        raise DataError(f"dataset: {table.name} has no entries{line}; give at least one")
    if not columns.named or not set(columns.named) <= set(table.columns):
        table = row_fields.unpacked(table)
    if columns.messages is not None:
        table.need(columns.messages, "messages_column")
        questions = same(columns.messages) == QUESTIONS
        return _conversations(table, columns.messages, questions=questions)
    if columns.prompts is None and columns.pictures is None:
        if (found := prompt_columns.messages_column(table)) is not None:
            return _conversations(table, found, questions=False)
        if (asked := prompt_columns.questions_column(table)) is not None:
            return _conversations(table, asked, questions=True)
        known_forms.refuse(table)
    elif columns.prompts in table.columns and prompt_columns.holds_messages(table.column(str(columns.prompts))):
        return _conversations(table, str(columns.prompts), questions=False)
    return _prompts(table, columns, near)


def _conversations(table: Table, column: str, *, questions: bool) -> Entries:
    left, fields = LeftOut(table), row_fields.read_row_fields(table, [column])
    logged, unsent = table.bodies or table.named("model") is not None, set[str]()
    kept, talks = [], []
    for at, value in enumerate(table.column(column)):
        try:
            messages = messages_of(prompt_columns.as_questions(value) if questions else value, unsent)
            system = fields.systems[at] if fields.systems else ""
            if system.strip() and not (messages and messages[0]["role"] in ("system", "developer")):
                messages.insert(0, {"role": "system", "content": system})
            whole = table.bodies or (logged and bool(messages) and messages[-1]["role"] != "assistant")
            talk = turns_of(messages, whole=whole)
            sound([messages, fields.params[at] if fields.params else None])
        except Unfit as unfit:
            left.add(at, unfit)
            continue
        kept.append(at)
        talks.append(talk)
    left.check(f"column {column!r} of {table.name}")
    account = data_account.of(table, left, fields, [column], unsent)
    asked = [conversations.question(talk) for talk in talks]
    return Entries(asked, conversations=talks, params=_of(fields.params, kept), account=account)


def _of(values: Sequence[T], kept: Sequence[int]) -> Sequence[T]:
    """Those of the rows that were kept, if there are any."""
    return [values[at] for at in kept] if values else ()


def _prompts(table: Table, columns: Columns, near: Path) -> Entries:
    left = LeftOut(table)
    if columns.pictures is not None:
        table.need(columns.pictures, "image_column")
    column = columns.prompts or (table.named(PROMPT) if columns.pictures else prompt_columns.prompt_column(table))
    if column is None:
        texts: Sequence[str | None] = [ABOUT_AN_IMAGE] * table.height
    else:
        table.need(column, "prompt_column")
        texts = prompt_columns.texts(table, column, left)
    more = None if column is None else prompt_columns.added_column(table, column)
    used = [name for name in (column, more, columns.pictures) if name is not None]
    fields = row_fields.read_row_fields(table, used)
    kept = _kept(texts, fields, left)
    left.check(table.name if column is None else f"column {column!r} of {table.name}")
    found = () if columns.pictures is None else _pictures(table, columns.pictures, near, kept)
    prompts = [str(texts[at]) for at in kept]
    account = data_account.of(table, left, fields, used, set())
    return Entries(prompts, found, systems=_of(fields.systems, kept), params=_of(fields.params, kept), account=account)


def _kept(texts: Sequence[str | None], fields: Fields, left: LeftOut) -> list[int]:
    """The rows that have a prompt, and whose further fields can be sent."""
    kept = [at for at, text in enumerate(texts) if text is not None]
    if not fields.params and not fields.systems:
        return kept
    for at in list(kept):
        try:
            sound([part[at] for part in (fields.params, fields.systems) if part])
        except Unfit as unfit:
            left.add(at, unfit)
            kept.remove(at)
    return kept


def _pictures(table: Table, column: str, near: Path, kept: Sequence[int]) -> list[Picture]:
    """The images whose paths a column holds, from the data's own folder on; or the images that it holds itself."""
    values = table.column(column)
    return images.read_all(_sources([(at, values[at]) for at in kept], table, column, near))


def _sources(
    values: Sequence[tuple[int, object]], table: Table, column: str, near: Path
) -> Iterator[Path | tuple[bytes, str]]:
    for at, value in values:
        where = f"{table.unit} {table.number(at)} of column {column!r} of {table.name}"
        value = opened(value)
        data, path = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, value)
        if isinstance(data, bytes):
            yield data, where
        elif isinstance(path, str) and path.strip():
            yield near / Path(path).expanduser()
        elif path is None or path == "":
            raise DataError(f"dataset: {where} is empty; fill it in or take it out")
        else:
            raise DataError(f"dataset: {where} is a {type(path).__name__}, and must be the path of an image")


def _json(path: Path) -> object:
    try:
        return text_files.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except (OSError, ValueError, RecursionError):
        return None  # it is read again as the data themselves, and the error is told then

"""Text files of a data set -> a Table: the encoding, and the divider of a CSV, are checked before any row is read.

UTF-8 and UTF-16 are read, with a byte order mark or without. Other encodings cannot be distinguished by their bytes, so they
are refused, and the error says how to convert the file. If a file is not what its name says (but a Git LFS pointer, a web page,
a compressed file), it is refused, and the error names what it is.

The divider of a CSV is a comma, unless another character divides its first line and its rows into the same number of fields.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

import orjson
import polars as pl

from ..core.types import JsonObject
from .csv_header import header_of
from .prompt_columns import PROMPT
from .table import Table, which

HEAD, LOOKED_AT = 128 << 10, 200  # bytes; records of a CSV
DIVIDERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_UTF8 = ("utf-8", "utf-8-sig")
_LISTS = ("data", "rows", "items", "entries", "examples", "requests", "prompts", "records", "dataset", "train")
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OTHERS = {
    b"version https://git-lfs": "a Git LFS pointer and not the file itself; fetch that with `git lfs pull`",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"(\xb5/\xfd": "compressed with zstd; unpack it first",
    b"BZh": "compressed with bzip2; unpack it first",
    b"PK\x03\x04": "a zip archive or an Excel workbook; unpack it first, or give the frame pl.read_excel(path)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save it as CSV UTF-8",
    b"PAR1": "a Parquet file; give it a name that ends in .parquet",
    b"ARROW1": "an Arrow file; give the frame pl.read_ipc(path)",
    b"%PDF": "a PDF; give its texts, one a line, as .txt",
    b"<!doctype html": "a web page, perhaps a login page in place of the file; download it again",
    b"<html": "a web page, perhaps a login page in place of the file; download it again",
}


def read_text_file(path: Path, kind: str, name: str, chosen: Collection[str] = ()) -> Table:
    """The rows of a file of texts. ValueError, the end of a sentence, if it cannot be read; `name`: how an error calls it;
    `chosen`: the columns that the configuration names."""
    encoding = encoding_of(path, kind)
    if kind in ("csv", "tsv"):
        return _csv(path, encoding, "\t" if kind == "tsv" else None, name, chosen)
    if kind == "txt":
        numbered = [(n, line) for n, line in _lines(path, encoding) if line.strip()]
        rows: list[JsonObject] = [{"prompt": _text(line, n)} for n, line in numbered]
        return _of_lines(rows, name, [n for n, _ in numbered])
    return _json(path, encoding, name) if kind == "json" else _jsonl(path, encoding, name)


def encoding_of(path: Path, kind: str = "txt") -> str:
    """The encoding of a file of texts, by its beginning. ValueError if it is something else than `kind` says."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    start = head[:64].lstrip().lower()
    for sign, what in _OTHERS.items():
        if (head.startswith(sign) or start.startswith(sign)) and not (kind == "parquet" and sign == b"PAR1"):
            raise ValueError(f"it is {what}")
    if found := next((encoding for bom, encoding in _BOMS.items() if head.startswith(bom)), None):
        return found
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if (
        even + odd >= 0.2 * len(head) and min(even, odd) < 0.1 * max(even, odd) and _is_utf16(head, even > odd)
    ):  # a letter of UTF-16 has a zero byte before or behind it
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8"


def _is_utf16(head: bytes, big: bool) -> bool:
    """Whether the beginning of a file can be UTF-16: whole characters, and no NUL among them."""
    try:
        text = head[: len(head) // 2 * 2].decode("utf-16-be" if big else "utf-16-le")
    except UnicodeDecodeError:
        return False
    return len(head) % 2 == 0 and "\0" not in text


def _lines(path: Path, encoding: str) -> Iterator[tuple[int, bytes]]:
    """The lines of a file by their numbers, in UTF-8 and without a byte order mark."""
    if encoding in _UTF8 and not _ends_lines_with_cr(path):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        return
    with path.open(encoding=encoding, newline="\r" if encoding in _UTF8 else None) as text:
        try:
            for number, decoded in enumerate(text, 1):
                yield number, decoded.encode()
        except UnicodeError:
            raise ValueError(f"it begins as {encoding.upper()} and goes on otherwise; save it as UTF-8") from None


def _text(line: bytes, number: int) -> str:
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ValueError(_no_utf8(line[error.start], number)) from None


def _no_utf8(byte: int, number: int) -> str:
    return (
        f"line {number} is not UTF-8: it has the byte 0x{byte:02X}; convert the file, for example from cp1252: "
        "Path(new).write_text(Path(old).read_text('cp1252'), 'utf-8')"
    )


def loads(data: bytes | str) -> object:
    """JSON as Python reads it (half an emoji, NaN), but faster if it is strict."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def _jsonl(path: Path, encoding: str, name: str) -> Table:
    items, numbers, bad = [], [], {}
    for number, line in _lines(path, encoding):
        if not (stripped := line.strip()):
            continue
        try:
            items.append(loads(stripped))
            numbers.append(number)
        except UnicodeDecodeError as error:
            raise ValueError(_no_utf8(stripped[error.start], number)) from None
        except (ValueError, RecursionError) as error:
            bad[number] = error
            if len(bad) == 1 and not items:  # perhaps one document over many lines
                try:
                    return _json(path, encoding, name, lines=False)
                except ValueError:
                    continue
    if bad:
        first = next(iter(bad))
        what = which("line", list(bad))
        raise ValueError(
            f"{what} {'is' if len(bad) == 1 else 'are'} not valid JSON: {_fault(bad[first], first)}; fix or delete"
        )
    if len(items) == 1 and isinstance(items[0], list) and not _are_messages(items[0]):
        return _of_list(items[0], name)
    return _of_list(items, name, numbers)


def _json(path: Path, encoding: str, name: str, *, lines: bool = True) -> Table:
    data = path.read_bytes()
    try:
        text: bytes | str = data if encoding == "utf-8" else data.decode(encoding)
        document = loads(text)
    except UnicodeDecodeError as error:
        raise ValueError(_no_utf8(data[error.start], data.count(b"\n", 0, error.start) + 1)) from None
    except (ValueError, RecursionError) as error:
        if lines and isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":  # JSONL by another name
            return _jsonl(path, encoding, name)
        raise ValueError(_fault(error)) from None
    if isinstance(document, dict):
        document = _rows_in(document)
    if not isinstance(document, list):
        raise ValueError("it is not a list of texts or of objects")
    return _of_list([document] if _are_messages(document) else document, name)


def _fault(error: Exception, number: int | None = None) -> str:
    """The location of an error in a JSON text, in words."""
    if isinstance(error, json.JSONDecodeError):
        line = error.lineno if number is None else number
        if error.pos >= len(error.doc.rstrip()):
            return f"line {line} breaks off"
        return f"line {line} is not JSON from character {error.colno} on"
    return "it is nested too deep" if isinstance(error, RecursionError) else "it is not JSON"


def _rows_in(document: dict[str, object]) -> object:
    """The list of rows that a JSON object holds, or the object as the only row if it is a request's body."""
    if {"messages", "prompt", "conversations", "body"} & document.keys() and not isinstance(
        document.get("prompt"), list
    ):
        return [document]
    lists = [key for key in _LISTS if isinstance(document.get(key), list)]
    return document[lists[0]] if len(lists) == 1 else document


def _are_messages(items: list[object]) -> bool:
    speakers = ("role", "from", "speaker", "author")
    return bool(items) and all(isinstance(item, dict) and any(key in item for key in speakers) for item in items)


def _of_list(items: list[object], name: str, numbers: list[int] | None = None) -> Table:
    """Texts, lists of messages and objects, each a row."""
    rows: list[JsonObject] = []
    talks = any(isinstance(item, list) for item in items) and not any(isinstance(item, dict) for item in items)
    for item in items:
        if isinstance(item, str) and talks:
            item = [{"role": "user", "content": item}]
        kind = "messages" if isinstance(item, list) else "prompt"
        rows.append(item if isinstance(item, dict) else {kind: item})
    if items and not any(isinstance(item, (str, list, dict)) for item in items):
        raise ValueError("it is not a list of texts only, or of objects only")
    return Table.of_rows(rows, name) if numbers is None else _of_lines(rows, name, numbers)


def _of_lines(rows: list[JsonObject], name: str, numbers: list[int]) -> Table:
    """Rows by the numbers of their lines, which differ from those of the rows if the file has empty lines."""
    plain = not numbers or numbers[-1] == len(numbers)
    return Table.of_rows(rows, name) if plain else Table.of_rows(rows, name, "line", numbers)


def _csv(path: Path, encoding: str, divider: str | None, name: str, chosen: Collection[str]) -> Table:
    if not path.stat().st_size:
        return Table.of_frame(pl.DataFrame(), name)
    source: Path | bytes = path
    if encoding not in _UTF8 or _ends_lines_with_cr(path):
        try:
            source = path.read_text(encoding).encode()
        except UnicodeError:
            raise ValueError(f"it begins as {encoding.upper()} and goes on otherwise; save it as UTF-8") from None
    first = _beginning(source)
    said = re.match(r'\ufeff?"?sep=(.)"?\r?\n', first)
    skip = 1 if said else 0
    divider = divider or (said[1] if said else divider_of(first))
    try:
        frame = pl.read_csv(source, separator=divider, infer_schema=False, skip_lines=skip)
        header = header_of(frame.columns, frame.to_series(0).head(LOOKED_AT).to_list(), chosen)
        doubtful = header == "row" or (header == "unknown" and frame.width == 1)
        first_line = divider.join(frame.columns) if doubtful else None
        if header == "row" and frame.width == 1:
            rows = pl.read_csv(source, separator=divider, infer_schema=False, skip_lines=skip, has_header=False)
            return Table.of_frame(rows.rename({rows.columns[0]: PROMPT}), name, first_line=first_line, header=False)
        return Table.of_frame(frame, name, first_line=first_line)
    except pl.exceptions.PolarsError as error:
        raise ValueError(_csv_fault(source, divider, skip) or str(error).strip().splitlines()[0]) from None


def _ends_lines_with_cr(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(HEAD)
    return b"\r" in head and b"\n" not in head


def _beginning(source: Path | bytes) -> str:
    if isinstance(source, bytes):
        head, cut = source[:HEAD], len(source) > HEAD
    else:
        with source.open("rb") as file:
            head, cut = file.read(HEAD), source.stat().st_size > HEAD
    head = head[: head.rfind(b"\n") + 1] if cut and b"\n" in head else head
    return head.decode("utf-8-sig", "replace")


def divider_of(text: str) -> str:
    """What divides the fields of a CSV. ValueError if its first line has another divider than a comma and its rows differ."""
    first = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").split("\n", 1)[0])
    there = [mark for mark in DIVIDERS if mark in first]
    if not there or ("," in first and _fields(text, ",")):
        return ","
    alike = {mark: fields for mark in there if (fields := _fields(text, mark))}
    if alike:
        return max(alike, key=lambda mark: alike[mark])
    used = [mark for mark in there if mark in text.split("\n", 1)[-1]]
    if "," in first or not used:
        return ","
    raise ValueError(
        f"its first line is divided by {used[0]!r} ({DIVIDERS[used[0]]}) and its rows have other numbers of fields; "
        "put texts that hold it in quotes"
    )


def _fields(text: str, divider: str) -> int:
    """How many fields each record has; 0 if they differ or have only one."""
    try:
        records = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=divider), LOOKED_AT))
    except csv.Error:
        return 0
    if len(text) > HEAD // 2 and 2 < len(records) < LOOKED_AT:
        records.pop()  # the file goes on, perhaps in the middle of this record
    counts = {len(record) for record in records if record}
    return counts.pop() if len(counts) == 1 and max(counts) > 1 else 0


def _csv_fault(source: Path | bytes, divider: str, skip: int) -> str | None:
    """The error of a CSV, in words; None if Python's own reader finds none."""
    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _no_utf8(data[error.start], data.count(b"\n", 0, error.start) + 1)
    lines = io.StringIO(text, newline="")
    for _ in range(skip):
        lines.readline()
    reader, head, long, before = csv.reader(lines, delimiter=divider, strict=True), 0, [], 0
    try:
        for record in reader:
            head = head or len(record)
            if len(record) > head:
                long.append(before + 1 + skip)
            before = reader.line_num
    except csv.Error as error:
        if "field larger" in str(error):
            return None
        return f"line {before + 1 + skip} opens a quote that is not closed, or has text after one"
    if not long:
        return None
    have = "has" if len(long) == 1 else "have"
    cure = f"put texts that hold {divider!r} in quotes"
    return f"{which('line', long)} {have} more fields than the {head} of its first line; {cure}"

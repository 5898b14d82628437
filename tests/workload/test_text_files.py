"""Encodings, dividers, and faults in one line: the lines that are read, and the message about the others."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest

from basetenkit.workload import text_files
from basetenkit.workload.text_files import divider_of, encoding_of

SAID = ["Wie heißt der Fluss?", "今天 is today; or, so"]
ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16": b"",
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32": b"",
}


def texts(path: Path, content: bytes | str) -> list[object]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    table = text_files.read_text_file(path, path.suffix[1:], repr(path.name))
    return table.column(table.columns[0])


def refused(path: Path, content: bytes | str) -> str:
    with pytest.raises(ValueError) as caught:
        texts(path, content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("kind", ["txt", "csv", "json", "jsonl", "tsv"])
def test_every_encoding_of_unicode_is_read(tmp_path: Path, encoding: str, end: str, kind: str) -> None:
    lines = {
        "txt": SAID,
        "csv": ["prompt,n", *(f'"{text}",1' for text in SAID)],
        "tsv": ["prompt\tn", *(f"{text}\t1" for text in SAID)],
        "json": [json.dumps(SAID, ensure_ascii=False)],
        "jsonl": [json.dumps({"prompt": text}, ensure_ascii=False) for text in SAID],
    }[kind]
    data = ENCODINGS[encoding] + (end.join(lines) + end).encode(encoding)
    assert texts(tmp_path / f"a.{kind}", data) == SAID


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_known_without_its_mark(tmp_path: Path, encoding: str) -> None:
    content = "prompt;n\r\nWhat is rust?;1\r\n".encode(encoding)
    assert texts(tmp_path / "a.csv", content) == ["What is rust?"]
    (tmp_path / "b.txt").write_bytes(b"a\0b\nok\n")
    assert encoding_of(tmp_path / "b.txt") == "utf-8", "a NUL by itself is none"


@pytest.mark.parametrize("kind", ["txt", "csv", "json", "jsonl"])
def test_another_encoding_is_refused_with_its_line_and_a_cure(tmp_path: Path, kind: str) -> None:
    lines = {"txt": "a\nfür\n", "csv": "prompt\nfür\n", "json": '["a",\n"für"]', "jsonl": '"a"\n"für"\n'}[kind]
    sentence = refused(tmp_path / f"a.{kind}", lines.encode("latin-1"))
    assert "line 2 is not UTF-8: it has the byte 0xFC" in sentence
    assert "read_text('cp1252')" in sentence


@pytest.mark.parametrize("mark", [";", "\t", "|", ","])
def test_the_divider_is_that_which_divides_all_rows_alike(tmp_path: Path, mark: str) -> None:
    rows = f'prompt{mark}kind\n"Name a river{mark} please."{mark}geo\nWhat is rust?{mark}chem\n'
    assert texts(tmp_path / "a.csv", rows) == [f"Name a river{mark} please.", "What is rust?"]
    assert texts(tmp_path / "b.csv", f"sep={mark}\n{rows}") == [f"Name a river{mark} please.", "What is rust?"]


@pytest.mark.parametrize(
    ("content", "divider"),
    [
        ("prompt\nName a river; or two.\nWhat is rust?\n", ","),
        ("prompt\na;b\nc;d\n", ","),
        ("prompt,n\na;b,1\nc;d,2\n", ","),
        ("prompt;n\nName one, please;1\nTwo;2\n", ";"),
        ("prompt;a, b\nName one;1\nTwo, or so;2\n", ";"),
        ("prompt|a;b\nx|1;2\ny|3\n", "|"),
        ('"a;b",n\nx,1\n', ","),
        ("prompt;n\n" + '"x\ny";1\n' * 30_000, ";"),
    ],
)
def test_a_divider_within_texts_divides_nothing(content: str, divider: str) -> None:
    assert divider_of(content[: text_files.HEAD]) == divider


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("prompt;n\na;b;c\nd\n", "its first line is divided by ';' (semicolons) and its rows have other numbers"),
        ("prompt\nName a river, please.\nok\n", "line 2 has more fields than the 1 of its first line"),
        ('prompt,n\na,1\n"x\ny",2\nb,c,3\nd,e,4\n', "lines 5 and 6 have more fields than the 2 of its first line"),
        ('prompt,n\na,1\n"open,2\nb,3\n', "line 3 opens a quote that is not closed"),
    ],
)
def test_what_is_wrong_with_a_csv_is_told_with_its_lines(tmp_path: Path, content: str, sentence: str) -> None:
    assert sentence in refused(tmp_path / "a.csv", content)


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        (
            "jsonl",
            '"a"\n\n{"a":}\n"b"\n{"a": "\n',
            "lines 3 and 5 are not valid JSON: line 3 is not JSON from character 6 on",
        ),
        ("jsonl", '"a"\n{"prompt": "b', "line 2 is not valid JSON: line 2"),
        ("jsonl", '"a"\n{"prompt": ', "line 2 is not valid JSON: line 2 breaks off"),
        ("json", '["a",\n "b" "c"]', "line 2 is not JSON from character 6 on"),
        ("json", '["a",\n "b"', "line 2 breaks off"),
        ("json", "[1, 2]", "it is not a list of texts only, or of objects only"),
        ("json", '"a"', "it is not a list of texts or of objects"),
        ("json", "[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_wrong_with_json_is_told_with_its_line(tmp_path: Path, kind: str, content: str, sentence: str) -> None:
    assert sentence in refused(tmp_path / f"a.{kind}", content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '{"prompt": "a"}\n{"prompt": "b"}\n'),
        ("a.jsonl", '[{"prompt": "a"},\n{"prompt": "b"}]'),
        ("a.jsonl", '[\n {"prompt": "a"},\n {"prompt": "b"}\n]\n'),
        ("a.json", '{"version": 1, "data": [{"prompt": "a"}, {"prompt": "b"}]}'),
        ("a.jsonl", '"a"\n\n{"prompt": "b"}\n'),
    ],
)
def test_json_and_jsonl_are_read_under_the_others_name(tmp_path: Path, name: str, content: str) -> None:
    assert texts(tmp_path / name, content) == ["a", "b"]


def test_rows_have_the_numbers_of_their_lines(tmp_path: Path) -> None:
    for name, content in (("a.txt", "\na\n\nb\n"), ("a.jsonl", '\n"a"\n\n"b"\n')):
        (tmp_path / name).write_text(content)
        table = text_files.read_text_file(tmp_path / name, name[2:], name)
        assert table.which([0, 1]) == "lines 2 and 4"
    (tmp_path / "a.jsonl").write_text('"a"\n"b"\n')
    assert text_files.read_text_file(tmp_path / "a.jsonl", "jsonl", "a").which([1]) == "row 2"


@pytest.mark.parametrize("kind", ["txt", "csv", "json", "jsonl"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "a Git LFS pointer"),
        (b"\x1f\x8b\x08\0\0", "compressed with gzip"),
        (b"PK\x03\x04\0\0", "a zip archive or an Excel workbook"),
        (b"PAR1\0\0", "a Parquet file"),
        (b"\n<!DOCTYPE html>\n<html>Log in</html>", "a web page"),
    ],
)
def test_a_file_that_is_something_else_is_called_by_its_name(
    tmp_path: Path, kind: str, content: bytes, what: str
) -> None:
    assert f"it is {what}" in refused(tmp_path / f"a.{kind}", content)

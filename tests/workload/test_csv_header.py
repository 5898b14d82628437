"""A CSV without a header line loses no prompt to it, and what cannot be known is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from basetenkit.config.run_config import RunConfig
from basetenkit.core.errors import DataError
from basetenkit.workload import datasets
from basetenkit.workload.csv_header import Header, header_of

from ..making import config


@pytest.mark.parametrize(
    ("names", "values", "found"),
    [
        (["prompt"], ["a"], "names"),
        (["User Prompt", "n"], ["a"], "names"),
        (["id", "system"], ["a"], "names"),
        (["Ask me"], ["a"], "names"),  # chosen below
        (["What is the capital of France?"], ["Who wrote Emma?"], "row"),
        (["Tell me a story. Make it short"], ["x"], "row"),
        (["name the six wives of that king"], ["x"], "row"),
        (["Paris, in spring"], ["x"], "row"),
        (["12.5"], ["x"], "row"),
        (["hello"], ["hi", "hello"], "row"),
        (["日本の首都はどこですか？"], ["x"], "row"),
        (["What is 2 + 2?", "4"], ["What is 3 + 3?"], "row"),
        (["hello"], ["hi"], "unknown"),
        (["colour", "size"], ["red"], "unknown"),
        (["First name"], ["Ada"], "unknown"),
    ],
)
def test_a_first_line_is_names_or_a_row_or_unknown(names: list[str], values: list[str], found: Header) -> None:
    assert header_of(names, values, ["Ask me"]) == found


def entries(
    tmp_path: Path, content: str, name: str = "x.csv", column: str | None = None
) -> tuple[list[str], dict[str, str]]:
    """The prompts of a file, and the finding about its first line: its fields."""
    path = tmp_path / name
    path.write_text(content, "utf-8")
    asked: str | dict[str, object] = str(path)
    if column is not None:
        asked = {"source": {"type": "file", "path": str(path)}, "prompt_column": column}
    given: RunConfig = config(dataset=asked, scenarios="dataset")
    found = datasets.load(given)
    assert found is not None
    told = [event for event in datasets.events(given, found) if event["code"] == "data_header"]
    return list(found.prompts), dict(told[0]["fields"], lost=told[0]["lost"]) if told else {}


@pytest.mark.parametrize("name", ["x.csv", "x.tsv"])
def test_the_first_prompt_of_a_file_without_a_header_is_sent(tmp_path: Path, name: str) -> None:
    prompts, told = entries(tmp_path, "What is an alloy?\nWho wrote Emma?\nName a river.\n", name)
    assert prompts == ["What is an alloy?", "Who wrote Emma?", "Name a river."]
    assert told == {"line": "What is an alloy?", "done": "is sent as a prompt", "lost": False}


def test_a_file_of_one_prompt_is_one_prompt(tmp_path: Path) -> None:
    assert entries(tmp_path, '"What is an alloy, and what is steel?"\n')[0] == ["What is an alloy, and what is steel?"]


def test_a_first_line_that_may_be_either_is_told(tmp_path: Path) -> None:
    prompts, told = entries(tmp_path, "hello\nhow are you\n")
    assert prompts == ["how are you"]
    assert told == {"line": "hello", "done": "was taken as the name of its column and is not sent", "lost": True}


@pytest.mark.parametrize(("content", "column"), [("prompt\nhi\n", None), ("Your question?\nhi\n", "Your question?")])
def test_nothing_is_told_of_a_header_that_is_known_or_named(tmp_path: Path, content: str, column: str | None) -> None:
    assert entries(tmp_path, content, column=column) == (["hi"], {})


def test_several_columns_without_a_header_are_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the first line of .*'What is 2 \+ 2\?,4', reads as a row"):
        entries(tmp_path, "What is 2 + 2?,4\nWhat is 3 + 3?,6\n")


def test_a_file_of_one_word_has_no_entries_and_says_where_the_line_went(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no entries: its only line, 'hello', was taken as its header"):
        entries(tmp_path, "hello\n")

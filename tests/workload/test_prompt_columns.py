"""Which column holds the prompts, and which columns do not."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.core.errors import DataError
from basetenkit.workload import prompt_columns
from basetenkit.workload.prompt_columns import is_number, messages_column, prompt_column, texts
from basetenkit.workload.table import LeftOut, Table


@pytest.mark.parametrize(
    "value",
    [310, 3.5, True, "310", " 1,234.5 ", "1e-5", "-3", "45 %", "[0, 1, 2]", "2023-11-16 18:17:03.97", "2023-11-16T18:17:03Z",
     "11/16/2023 6:17 PM", "18:17:03", "nan", "NULL", "1_000", ".5"],
)  # fmt: skip
def test_numbers_dates_and_times_are_no_prompts(value: Any) -> None:
    assert is_number(value)
    table = Table.of_columns({"prompt": [value, value, None]}, "t")
    with pytest.raises(DataError, match="holds only numbers, dates or times"):
        texts(table, "prompt", LeftOut(table))


@pytest.mark.parametrize(
    "value", ["1 + 1 = ?", "Count to 10", "x", "3 apples", "你好", "2023?", {"a": 1}, ["x"], "May 5"]
)
def test_what_has_words_is_a_prompt(value: Any) -> None:
    assert not is_number(value)


def test_a_number_among_prompts_may_be_one_and_a_number_that_is_no_text_is_left_out() -> None:
    table = Table.of_columns({"prompt": ["What is", "42", 43, None, ["a", "b"], [5, 6], True]}, "t")
    left = LeftOut(table)
    assert texts(table, "prompt", left) == ["What is", "42", None, None, None, None, None]
    assert left.why() == (
        "its prompt is a number (row 3); nothing is asked (row 4); its prompt is a list of several texts or of token ids "
        "(rows 5 and 6); its prompt is true or false (row 7)"
    )


@pytest.mark.parametrize(
    ("columns", "chosen"),
    [
        (("PROMPT", "text"), "PROMPT"),
        (("anything",), "anything"),
        (("id", "Question"), "Question"),
        (("instruction", "text", "input"), "instruction"),
        (("text", "label"), "text"),
        (("content", "id"), "content"),
    ],
)
def test_the_column_of_prompts_is_known_by_its_name(columns: tuple[str, ...], chosen: str) -> None:
    assert prompt_column(Table.of_rows([dict.fromkeys(columns, "some text")], "t")) == chosen


@pytest.mark.parametrize("columns", [("question", "query"), ("a", "b"), ("answer", "source")])
def test_where_several_might_be_meant_none_is_chosen(columns: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="has no column 'prompt'; rename one, or give prompt_column"):
        prompt_column(Table.of_rows([dict.fromkeys(columns, "some text")], "t"))


def test_a_column_of_conversations_is_known_by_name_and_by_what_it_holds() -> None:
    talk = [{"role": "user", "content": "x"}]
    for name in ("messages", "Conversations", "conversation", "dialogue"):
        assert messages_column(Table.of_rows([{name: talk, "id": 1}], "t")) == name
        assert messages_column(Table.of_rows([{name: "no list", "id": 1}], "t")) is None
    assert messages_column(Table.of_rows([{"messages": [], "id": 1}, {"messages": talk}], "t")) == "messages"
    assert messages_column(Table.of_rows([{"prompt": "x", "messages": talk}], "t")) is None
    assert messages_column(Table.of_rows([{"prompt": talk}], "t")) == "prompt"
    assert prompt_columns.questions_column(Table.of_rows([{"turns": ["a", "b"], "id": 1}], "t")) == "turns"
    assert prompt_columns.questions_column(Table.of_rows([{"turns": 3, "id": 1}], "t")) is None

"""What a row says beside its prompt: under which names, of which kinds, and what of it is never sent."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.workload import row_fields
from basetenkit.workload.row_fields import Fields, read_row_fields, unpacked
from basetenkit.workload.table import Table

TOOL = {"type": "function", "function": {"name": "f"}}


def fields(row: dict[str, Any], texts: tuple[str, ...] = ("prompt",)) -> Fields:
    return read_row_fields(unpacked(Table.of_rows([{"prompt": "x"} | row], "t")), texts)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "maxTokens", "Max Tokens", "max_completion_tokens", "max_new_tokens", "max_output_tokens", "output_tokens",
     "output_len", "Output length", "expected_output_len", "completion_tokens", "Response tokens", "n_predict", "osl"],
)  # fmt: skip
@pytest.mark.parametrize("value", [40, 40.0, "40", " 40 "])
def test_a_limit_is_known_under_many_names(name: str, value: Any) -> None:
    found = fields({name: value})
    assert (found.params, found.used, found.unusable) == ([{"max_tokens": 40}], {name: "max_tokens"}, {})
    assert isinstance(found.params[0]["max_tokens"], int)


@pytest.mark.parametrize("value", [0, -1, 1.5, "many", True, [4], float("nan")])
def test_what_is_no_limit_is_counted_and_not_sent(value: Any) -> None:
    found = fields({"max_tokens": value})
    assert (found.params, found.unusable) == ((), {"max_tokens": 1})


@pytest.mark.parametrize(
    ("row", "sent"),
    [
        ({"temperature": "0.5", "top_p": 1}, {"temperature": 0.5, "top_p": 1}),
        ({"top_k": "20", "ignore_eos": "True"}, {"top_k": 20, "ignore_eos": True}),
        ({"tools": [{"name": "f"}]}, {"tools": [TOOL]}),
        ({"tools": '[{"type": "function", "function": {"name": "f"}}]'}, {"tools": [TOOL]}),
        ({"tools": [{"type": "function", "name": "f", "strict": None}]}, {"tools": [TOOL]}),
        ({"tool_choice": "auto"}, {"tool_choice": "auto"}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"sampling_params": {"max_new_tokens": 4, "temperature": 0}}, {"max_tokens": 4, "temperature": 0}),
        ({"parameters": '{"max_new_tokens": 4}'}, {"max_tokens": 4}),
        ({"temperature": None, "top_p": ""}, {}),
    ],
)  # fmt: skip
def test_parameters_are_sent_as_the_api_takes_them(row: dict[str, Any], sent: dict[str, Any]) -> None:
    found = fields(row)
    assert found.params == ([sent] if sent else ())
    assert found.unusable == {}


def test_what_means_something_else_outside_a_body_is_not_sent() -> None:
    row = {"n": 4, "seed": 3, "stop": "Main Street", "logprobs": True, "tools": "hammer, saw"}
    found = fields(row)
    assert (found.params, found.unusable) == ((), {"tools": 1})
    del row["tools"]
    assert fields(row | {"model": "x", "user": "ann", "metadata": {"a": "b"}, "id": 3}).params == [row]


def test_a_body_sends_all_it_says_but_what_the_run_decides() -> None:
    decided = {"model": "x", "stream": True, "stream_options": {}, "user": "ann", "store": True}
    body = decided | {"prompt": "p", "min_p": 0.1, "guided_json": {"a": 1}, "own": 4}
    table = unpacked(Table.of_rows([{"custom_id": "1", "body": body, "note": "n"}], "t"))
    assert table.bodies
    found = read_row_fields(table, ("prompt",))
    assert found.params == [{"min_p": 0.1, "guided_json": {"a": 1}, "own": 4}]
    assert not {"model", "stream", "user", "store", "note", "custom_id"} & found.used.keys()


@pytest.mark.parametrize("name", ["system", "System Prompt", "system_message", "systemInstruction", "instructions"])
@pytest.mark.parametrize("value", ["S", [{"type": "text", "text": "S"}], {"parts": [{"text": "S"}]}])
def test_a_system_prompt_is_known_under_many_names(name: str, value: Any) -> None:
    found = fields({name: value})
    assert (found.systems, found.used) == (["S"], {name: "system"})


def test_known_columns_are_read_of_a_large_data_set() -> None:
    assert all(map(row_fields.is_known, ("system", "Max tokens", "tools", "temperature", "model")))
    assert not any(map(row_fields.is_known, ("image", "answer", "id")))

"""Files that hold no prompts are refused by the name of what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from basetenkit.core.errors import DataError
from basetenkit.workload import datasets

from ..making import config

SAID = {"role": "assistant", "text": "Steel is an alloy."}


def prompts(tmp_path: Path, rows: list[dict[str, Any]], **description: str) -> list[str]:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset: Any = {"source": {"type": "file", "path": str(path)}, **description} if description else str(path)
    found = datasets.load(config(dataset=dataset, scenarios="dataset"))
    assert found is not None
    return list(found.prompts)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"custom_id": "a", "response": {"status_code": 200, "body": {"id": "x"}}, "error": None}, "output of a batch"),
        ({"custom_id": "a", "result": {"type": "succeeded", "message": {"content": []}}}, "results of a batch"),
        ({"request_id": "a", "ttft_s": 0.1, "outcome": "ok", "text": "hello there"}, "requests of a saved run"),
        ({"request_throughput": 3.5, "mean_ttft_ms": 40.1, "backend": "vllm chat"}, "result of a benchmark"),
        ({"aggregated_metrics": {"n": 1}, "individual_request_metrics": []}, "result of genai-bench"),
        ({"benchmarks": [], "metadata": {"version": "1"}}, "result of GuideLLM"),
    ],
)
def test_a_file_of_another_kind_is_refused_by_its_name(tmp_path: Path, row: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        prompts(tmp_path, [row, row])


def test_messages_one_per_row_are_not_sent_as_prompts(tmp_path: Path) -> None:
    user = {"role": "prompter", "text": "What is steel?"}
    with pytest.raises(DataError, match=r"each row of .* is one message of a conversation, some of 'assistant'"):
        prompts(tmp_path, [user, SAID])
    assert prompts(tmp_path, [user, user]) == ["What is steel?"] * 2


def test_who_names_the_column_has_decided(tmp_path: Path) -> None:
    assert prompts(tmp_path, [SAID], prompt_column="text") == ["Steel is an alloy."]

"""Which rows of a data set are sent, with which fields, and which are left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.findings import Finding
from basetenkit.workload.datasets import events, load

from .test_datasets import config, prompts

BODY = {
    "model": "x",
    "messages": [{"role": "user", "content": "What?"}],
    "max_tokens": 7,
    "temperature": 0,
    "stream": True,
}
EACH = ["jsonl", "json", "csv", "parquet", "frame", "described"]


def in_each_form(rows: list[dict[str, Any]], form: str, tmp_path: Path) -> Any:
    """The rows in a form of data set; in a CSV lists and objects are JSON."""
    cells = [{k: json.dumps(v) if isinstance(v, (list, dict)) else v for k, v in row.items()} for row in rows]
    path = tmp_path / f"rows.{'jsonl' if form == 'described' else form}"
    if form in ("frame", "parquet"):
        frame = pl.from_dicts(rows, infer_schema_length=None)
        if form == "frame":
            return frame
        frame.write_parquet(path)
    elif form == "csv":
        pl.from_dicts(cells, infer_schema_length=None).write_csv(path)
    else:
        path.write_text(json.dumps(rows) if form == "json" else "\n".join(map(json.dumps, rows)))
    return {"source": {"type": "file", "path": str(path)}} if form == "described" else path


def loaded(dataset: Any, **kw: Any) -> Any:
    entries = load(config(dataset, **kw))
    assert entries is not None
    return entries


def told(dataset: Any, **kw: Any) -> dict[str, str]:
    c = config(dataset, **kw)
    return {e["code"]: str(Finding.of(e)) for e in events(c, load(c))}


@pytest.mark.parametrize("form", EACH)
def test_what_a_row_says_beside_its_prompt_is_sent_in_every_form(form: str, tmp_path: Path) -> None:
    rows = [
        {"id": "a", "system": "Brief.", "prompt": "What?", "max_tokens": 7, "temperature": 0.5},
        {"id": "b", "system": "Long.", "prompt": "Who?", "max_tokens": 90, "temperature": 0.5},
    ]
    given = in_each_form(rows, form, tmp_path)
    entries = loaded(given)
    assert (entries.prompts, entries.systems) == (["What?", "Who?"], ["Brief.", "Long."])
    assert entries.params == [{"max_tokens": 7, "temperature": 0.5}, {"max_tokens": 90, "temperature": 0.5}]
    assert "not sent: id." in told(given)["data_unsent"]


@pytest.mark.parametrize("form", EACH)
@pytest.mark.parametrize("batch", [False, True])
def test_logged_bodies_and_batch_files_are_requests_in_every_form(form: str, batch: bool, tmp_path: Path) -> None:
    talk = [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}]
    talk += [{"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    body = BODY | {"messages": talk}
    row = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body} if batch else body
    given = in_each_form([row], form, tmp_path)
    entries = loaded(given)
    ((turn,),) = entries.conversations
    assert list(turn.said) == talk
    assert entries.params == [{"max_tokens": 7, "temperature": 0}]
    assert "model, stream" in told(given)["data_unsent"]


def test_batches_of_other_apis_are_read(tmp_path: Path) -> None:
    part = [{"type": "text", "text": "hi"}]
    anthropic = {"model": "x", "max_tokens": 5, "system": "S", "messages": [{"role": "user", "content": part}]}
    contents = [{"role": "user", "parts": [{"text": "hi"}]}]
    gemini = {"contents": contents, "generationConfig": {"maxOutputTokens": 5}}
    responses = {"model": "x", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}
    forms: list[tuple[dict[str, Any], list[str], dict[str, Any]]] = [
        ({"params": anthropic}, ["S", "hi"], {"max_tokens": 5}),
        ({"request": gemini}, ["hi"], {"max_tokens": 5}),
        ({"body": responses}, ["hi"], {}),
    ]
    for row, said, params in forms:
        path = tmp_path / "b.jsonl"
        path.write_text(json.dumps(row))
        entries = loaded(path)
        assert [m["content"] for m in entries.conversations[0][0].said] == said
        assert (entries.params or [{}])[0] == params
    completions = {"model": "x", "prompt": "p", "max_tokens": 5}
    for body, prompt in ((completions, "p"), ({"model": "x", "input": "q", "instructions": "S"}, "q")):
        (tmp_path / "c.jsonl").write_text(json.dumps({"custom_id": "1", "body": body}))
        assert loaded(tmp_path / "c.jsonl").prompts == [prompt]


@pytest.mark.parametrize("form", EACH)
def test_rows_that_ask_nothing_are_left_out_and_counted(form: str, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"prompt": ""}, {"prompt": "What is ice?"}, {"prompt": " "}, {"prompt": None}]
    given = in_each_form(rows, form, tmp_path)
    assert loaded(given).prompts == ["What is ice?"]
    assert told(given, scenarios="dataset").keys() == {"data_left_out"}
    assert (
        "3 of the 4 rows of the data set are not used: nothing is asked (rows 1, 3 and 4)"
        in told(given)["data_left_out"]
    )
    assert told(given, scenarios="D(9,9)").keys() == {"data_left_out"}


def test_what_cannot_be_sent_as_it_is_meant_is_said(tmp_path: Path) -> None:
    frame = pl.DataFrame({"prompt": ["a", "b"], "system": ["S", "S"], "max_tokens": [5, 0], "n": [3, 4]})
    assert "max_tokens (1 value is not what such a field takes), n." in told(frame)["data_unsent"]
    assert "max_tokens (RD(9) sets the length), n." in told(frame, scenarios="RD(9)")["data_unsent"]
    assert "max_tokens (request_params give it)" in told(frame, request_params={"max_tokens": 3})["data_unsent"]
    prompt_format = {"url": "http://127.0.0.1:9/", "request_format": "prompt"}
    c = bk.RunConfig(endpoint=prompt_format, dataset=frame)
    (said,) = events(c, load(c))
    assert "system (the prompt format has no place for it)" in said["fields"]["unsent"]
    assert said["lost"] is True
    assert told(frame, scenarios="D(9,9)") == {}, "of words that prompts are made of, nothing else is meant to be sent"


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"instruction": "Translate", "input": "Hund", "output": "dog"}, "Translate\n\nHund"),
        ({"instruction": "Say hi", "input": "", "output": "hi"}, "Say hi"),
        ({"instruction": "Sum up", "context": "It rains.", "response": "Rain", "text": "all"}, "Sum up\n\nIt rains."),
        ({"question": "Why?", "answer": "So."}, "Why?"),
        ({"Prompt": "Why?", "text": "So."}, "Why?"),
        ({"text": "It rains.", "label": 3}, "It rains."),
        ({"inputs": "Hi", "parameters": {"max_new_tokens": 4}}, "Hi"),
        ({"prompt": [{"type": "text", "text": "Hi "}, "you"]}, "Hi you"),
    ],
)
def test_prompts_under_other_names(row: dict[str, Any], prompt: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps(row))
    assert prompts(tmp_path / "p.jsonl") == [prompt]


def test_a_column_of_prompts_that_are_messages_or_questions(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": [{"role": "user", "content": "Hi"}], "completion": "x"}))
    assert loaded(tmp_path / "p.jsonl").conversations[0][0].said == ({"role": "user", "content": "Hi"},)
    (tmp_path / "q.jsonl").write_text(json.dumps({"question_id": 1, "turns": ["One?", "Two?"]}))
    assert [turn.said[0]["content"] for turn in loaded(tmp_path / "q.jsonl").conversations[0]] == ["One?", "Two?"]


def test_a_finding_and_a_warning_say_what_was_left_out() -> None:
    rows = pl.DataFrame({"prompt": ["", "Hi"], "colour": ["red", "blue"]})
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.base_url + "/v1/chat/completions", model="m")
        c = bk.RunConfig(endpoint=endpoint, dataset=rows, concurrency=1, max_requests=2)
        with pytest.warns(UserWarning, match="1 of the 2 rows") as caught:
            run = bk.run_sync(c)
    found = {f.code: f.sentence for f in run.findings}
    assert "not sent: colour" in found["data_unsent"]
    assert "nothing is asked (row 1)" in found["data_left_out"]
    assert not [w for w in caught if "colour" in str(w.message)], "a column that means nothing here is no warning"

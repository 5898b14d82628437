"""Whole runs against Baseten's own model server, in each of the shapes that its examples have."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import basetenkit as bk

pytestmark = pytest.mark.real


def run(url: str, form: str = "output", stream: bool = True, request_format: Any = "prompt", **kw: Any) -> pl.DataFrame:
    endpoint = bk.Endpoint(url=url, request_format=request_format, stream=stream, model="m")
    fields = {"scenarios": "D(20,6)", "concurrency": 3, "max_requests": 9, "request_params": {"form": form}}
    return bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **(fields | kw))).requests


@pytest.mark.parametrize("form", ["text", "output", "response", "generated_text", "result", "string"])
def test_each_json_form_is_read_and_not_timed_as_a_stream(truss_url: str, form: str) -> None:
    rows = run(truss_url, form, stream=False)
    assert (rows["outcome"] == "ok").all()
    assert set(rows["text"]) == {"one two three four five six "}
    assert (rows["wire_format"] == "json").all()
    assert rows["ttft_s"].null_count() == rows.height
    assert (rows["e2e_s"] > 0.025).all()
    assert (rows["token_source"] == "tokenizer").all()


def test_a_plain_text_stream_is_verbatim_and_timed(truss_url: str) -> None:
    rows = run(truss_url)
    assert (rows["outcome"] == "ok").all()
    assert set(rows["text"]) == {"one two three four five six "}
    assert (rows["wire_format"] == "text").all()
    assert (rows["output_chunks"] >= 4).all()  # two yields may share a read
    assert (rows["ttft_s"] < rows["e2e_s"]).all()
    assert rows["warnings"].list.join("|").str.contains("completion_unverified").all()


def test_sse_under_another_content_type_is_read_as_sse(truss_url: str) -> None:
    rows = run(truss_url, request_format="chat")
    assert (rows["outcome"] == "ok").all()
    assert (rows["wire_format"] == "sse").all()
    assert (rows["output_chunks"] == 6).all()
    assert (rows["output_tokens_server"] == 6).all()
    assert (rows["input_tokens_server"] == 7).all()
    assert (rows["finish_reason"] == "length").all()


def test_a_whole_chat_response_is_read(truss_url: str) -> None:
    rows = run(truss_url, request_format="chat", stream=False)
    assert (rows["outcome"] == "ok").all()
    assert (rows["output_tokens_server"] == 6).all()


def test_a_soft_error_under_200_is_an_error(truss_url: str) -> None:
    rows = run(truss_url, "soft_error", stream=False)
    assert (rows["outcome"] == "api_error").all()
    assert set(rows["error_message"]) == {"the model is out of memory"}


def test_a_model_that_raises_is_a_model_error(truss_url: str) -> None:
    rows = run(truss_url, "boom", stream=False)
    assert (rows["outcome"] == "http_error").all()
    assert (rows["status"] == 500).all()
    assert set(rows["error_source"]) == {"model"}
    assert "Internal Server Error" in rows["error_message"][0]


def test_a_model_that_dies_in_the_middle_of_a_stream_is_incomplete(truss_url: str) -> None:
    rows = run(truss_url, "dies", request_format="chat")
    assert (rows["outcome"] == "incomplete").all()
    assert set(rows["text"]) == {"one two "}
    assert rows["e2e_s"].null_count() == rows.height

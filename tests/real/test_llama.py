"""A real language model: SmolLM2-135M under llama.cpp, which reports no usage on a stream."""

from __future__ import annotations

from pathlib import Path

import papermill
import pytest

import basetenkit as bk

pytestmark = pytest.mark.real
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_quickstart.ipynb"


def test_missing_usage_is_counted_by_the_tokenizer_and_said(llama_url: str) -> None:
    endpoint = bk.Endpoint(url=f"{llama_url}/chat/completions", model="smollm2")
    run = bk.run_sync(
        bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, scenarios="D(30,8)", concurrency=[1, 2], max_requests=4
        )
    )
    rows = run.requests
    assert (rows["outcome"] == "ok").all(), rows["error_message"].to_list()
    assert (rows["wire_format"] == "sse").all()
    assert rows["output_tokens_server"].null_count() == rows.height
    assert (rows["token_source"] == "tokenizer").all()
    assert (rows["output_chunks"] >= 1).all()
    assert (rows["output_tokens"] == rows["output_tokens_client"]).all()
    assert (rows["ttft_s"] > 0).all()
    assert "tokens_by_tokenizer" in [f.code for f in run.findings]
    assert all(text.strip() for text in rows["text"])


def test_a_whole_answer_has_the_servers_own_count(llama_url: str) -> None:
    endpoint = bk.Endpoint(url=f"{llama_url}/chat/completions", model="smollm2", stream=False)
    rows = bk.run_sync(
        bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, scenarios="D(30,8)", concurrency=1, max_requests=3
        )
    ).requests
    assert (rows["outcome"] == "ok").all(), rows["error_message"].to_list()
    for row in rows.to_dicts():
        # Cut inside a character, this server reports one more than was allowed.
        above = [
            w
            for w in row["warnings"]
            if w.startswith("over_max_tokens: the server reported 9 tokens, more than the limit of 8; ")
        ]
        if row["output_tokens_server"] is None:
            assert above[0].endswith("; not used"), row
            assert row["token_source"] == "tokenizer"
        else:
            assert row["output_tokens_server"] <= 8 or above
            assert row["token_source"] == "server"
    assert rows["input_tokens_server"].null_count() == 0
    assert rows["ttft_s"].null_count() == rows.height


def test_a_context_that_overflows_on_a_stream_is_empty_and_never_ok(llama_url: str) -> None:
    endpoint = bk.Endpoint(url=f"{llama_url}/chat/completions", model="smollm2")
    rows = bk.run_sync(
        bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, scenarios="D(3000,8)", concurrency=1, max_requests=2
        )
    ).requests
    assert "ok" not in set(rows["outcome"])
    assert rows["ttft_s"].null_count() == rows.height
    assert rows["error_message"].null_count() == 0


def test_the_quickstart_runs_on_a_real_model(llama_url: str, tmp_path: Path) -> None:
    parameters = {
        "url": f"{llama_url}/chat/completions",
        "model": "smollm2",
        "scenarios": "D(30,12)",
        "concurrency": "[1, 2]",
    }
    notebook = papermill.execute_notebook(
        NOTEBOOK, tmp_path / "out.ipynb", parameters | {"max_requests": 6}, progress_bar=False
    )
    said = str(notebook)
    assert "tokens_by_tokenizer" in said
    assert "12 ok" in said

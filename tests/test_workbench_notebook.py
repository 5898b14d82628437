"""The parser workbench as papermill runs it: on its own example, on a transcript, and on a request of a saved run."""

from __future__ import annotations

import json
from pathlib import Path

import basetenkit as bk

from .papers import Papers, charts, outputs, shown

WORKBENCH = "05_parser_workbench"


def test_on_its_example_it_shows_messages_events_times_and_the_decisions(papers: Papers, tmp_path: Path) -> None:
    notebook = papers.run(WORKBENCH, tmp_path)
    bundles = [o["data"] for o in outputs(notebook) if "data" in o]
    (chart,) = charts(notebook)
    assert "image/png" in chart
    assert sum("text/html" in b for b in bundles) == 4
    assert [o for o in outputs(notebook) if o.output_type == "error"] == []
    text = shown(notebook)
    for part in (
        "'Tea is ready.'",
        "same_time: 2 output events arrived in one read",
        "first output: reasoning, the earliest of 5 event(s)",
        '{"role": "assistant"}',
        "longest gap between reads with output",
        "from 104.0 to 240.0 ms",
        "def test_from_the_workbench() -> None:",
    ):
        assert part in text


def test_on_a_transcript_of_curl_it_says_what_went_wrong(papers: Papers, tmp_path: Path) -> None:
    transcript = '\nHTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\n\r\n{"error": "<b>slow</b>"}'
    notebook = papers.run(WORKBENCH, tmp_path, transcript=transcript)
    text = shown(notebook)
    assert "http_error: <b>slow</b>" in text
    assert "input: a curl transcript, HTTP/1.1 429 Too Many Requests" in text
    assert "The response (http_error) has no output event: <b>slow</b>" in json.dumps(outputs(notebook))
    pages = "".join(o["data"].get("text/html", "") for o in outputs(notebook) if "data" in o)
    assert "<b>" not in pages


def test_on_a_run_it_takes_the_request_that_was_named(papers: Papers, tmp_path: Path) -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=2) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=endpoint,
            scenarios="D(5,6)",
            concurrency=1,
            max_requests=2,
            capture="all",
        )
        run = bk.run_sync(config, save_to=tmp_path / "run")
    row = run.requests.row(1, named=True)
    notebook = papers.run(WORKBENCH, tmp_path, run_folder=str(tmp_path / "run"), request_id=row["request_id"])
    text = shown(notebook)
    assert repr(row["text"]) in text
    assert f"{row['output_chunks']} events" in text
    assert f"from {row['ttft_s'] * 1e3:,.1f} to " in text


def test_a_request_that_was_not_kept_fails_it_with_one_sentence(papers: Papers, tmp_path: Path) -> None:
    with bk.emulator.serve(ttft_ms=5, itl_ms=2) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=endpoint,
            scenarios="D(5,6)",
            concurrency=1,
            max_requests=1,
            capture="none",
        )
        bk.run_sync(config, save_to=tmp_path / "run")
    said = papers.error(WORKBENCH, tmp_path, run_folder=str(tmp_path / "run")).evalue
    assert "no raw bytes of" in said
    assert "run with capture='all'" in said

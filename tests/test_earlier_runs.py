"""Runs that earlier versions saved: they load, give figures and findings, and resume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.results.row_notes import noted

SAVED = Path(__file__).parent / "data" / "0.1.0.dev0"


@pytest.fixture
def conversations(tmp_path: Path) -> Path:
    """A copy of the run; its data set lies in the current folder, as it did then."""
    return Path(shutil.copytree(SAVED / "conversations", tmp_path / "run"))


def test_it_loads_with_its_figures() -> None:
    run = bk.load(SAVED / "conversations")
    assert not run.complete
    assert run.requests.height == 14
    assert run.chunks.collect().height > 0
    counts = run.summary_wide.select("level", "ok", "http_error", "cancelled")
    assert counts.rows() == [(1.0, 8, 1, 0), (2.0, 2, 0, 2)]
    ttft = sorted(run.requests.filter("in_window", level=1)["ttft_s"])
    assert run.summary_wide["ttft_s_p50"][0] == ttft[len(ttft) // 2 - 1]
    assert run.requests.filter(phase="measured")["number"].to_list()[:3] == [3, 4, 5]
    words = "same_time: 2 output events came in one read: their spacing is not known"
    assert set(run.requests["warnings"].explode().drop_nulls()) == {words}
    assert run.requests.filter(noted("same_time")).height == 2
    (failed,) = run.requests.filter(outcome="http_error")["request_id"]
    assert run.exchange(failed).status == 500
    assert str(run.reparse()["outcome_now"].to_list()).count("http_error") == 1


def test_its_findings_are_those_of_then() -> None:
    found = {f.code: f.sentence for f in bk.load(SAVED / "conversations").findings}
    assert {"stopped_early", "some_failed", "unfinished", "conversations_ended", "few_requests"} <= found.keys()
    assert "1 of 4 conversations" in found["conversations_ended"]
    assert "2 of their turn(s)" in found["conversations_ended"]


def test_why_a_level_ended_is_known() -> None:
    run = bk.load(SAVED / "gave_up")
    found = {f.code: f for f in run.findings}
    assert found.keys() == {"all_failed", "gave_up", "unfinished"}
    assert "the first 4 requests all failed" in found["gave_up"].sentence
    assert "the first 4 requests all failed" in found["unfinished"].sentence
    assert run.requests["outcome"].to_list().count("cancelled") == 2


def test_it_resumes_with_the_level_that_is_missing(
    conversations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SAVED)
    before = bk.load(conversations).requests.filter(level=1)
    with bk.emulator.serve(ttft_ms=5, itl_ms=2, output_tokens=5) as server:
        document = json.loads((conversations / "run.json").read_text())
        document["config"]["endpoint"]["url"] = server.url
        (conversations / "run.json").write_text(json.dumps(document))
        endpoint = bk.Endpoint(url=server.url, model="m", auth_scheme="none")
        names_of_then: dict[str, Any] = {"answers": "dataset", "give_up_after": 30}
        config = bk.RunConfig(
            endpoint=endpoint,
            dataset="talks.jsonl",
            scenarios="dataset",
            concurrency=[1, 2],
            max_requests=9,
            warmup_requests=2,
            salt="s",
            steady=False,
            request_params={"max_tokens": 5},
            **names_of_then,
        )
        run = bk.run_sync(config, save_to=conversations)
    again = bk.load(conversations)
    for each in (run, again):
        assert each.requests.filter(phase="preflight").height == 2
        assert each.requests.filter(level=1).drop("in_window").equals(before.drop("in_window"))
        second = each.requests.filter((pl.col("level") == 2) & (pl.col("phase") != "preflight"))
        assert second["outcome"].to_list() == ["ok"] * 11
        assert [level["done"] for level in each.metadata["levels"]] == [True, True]
    assert len(list((conversations / "aside").iterdir())) == 1

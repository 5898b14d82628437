"""Reading folders of upstream, of Baseten's fork and of old versions: values that are kept, corrected values, and the findings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.cli.saved import OF_SEVERAL
from basetenkit.core.errors import ConfigError, StoreError
from tests.interop.genai_bench.making import failure, metadata, request, write

NAME = "D20_5_text-to-text_num_concurrency_2_time_3s.json"


def codes(run: bk.Run) -> set[str]:
    return {f.code for f in run.findings}


def test_a_folder_of_upstream(tmp_path: Path) -> None:
    write(tmp_path, NAME, [request(0.2, 1.0, 5), request(0.4, 1.2, 5, num_reasoning_tokens=3)])
    run = bk.read_genai_bench(tmp_path)
    assert run.requests["ttft_s"].to_list() == [0.2, 0.4]
    assert run.requests["tpot_s"].to_list() == pytest.approx([0.2, 0.2])
    assert run.requests["reasoning_tokens"].to_list() == [None, 3]
    assert run.requests["start_s"].null_count() == run.requests.height
    assert run.summary_wide["e2e_s_mean"].to_list() == pytest.approx([1.1])
    assert run.summary_wide["requests_per_s"].to_list() == [None]
    assert run.metadata["genai_bench"]["levels"][0]["requests_per_second"] == 1.5
    assert (run.config.endpoint.url, run.config.endpoint.model) == ("https://models.example.org/v1", "m")
    assert (run.config.dataset, run.config.request_params) == (None, {"temperature": 0.5})
    assert codes(run) >= {"genai_bench"}
    assert run.complete


def test_what_it_gives_saves_compares_draws_and_reports(tmp_path: Path) -> None:
    write(tmp_path / "in", NAME, [request(0.1 + i / 100, 1.0 + i / 50, 5) for i in range(30)] + [failure(500, "no")])
    run = bk.read_genai_bench(tmp_path / "in")
    run.save(tmp_path / "saved")
    again = bk.load(tmp_path / "saved")
    assert again.summary.equals(run.summary)
    assert again.fates.row(0, named=True)["never_sent"] == 0
    assert again.requests["in_window"].all()
    kept = b"".join(p.read_bytes() for p in (tmp_path / "saved").rglob("*") if p.is_file())
    assert b"planted-4711" not in kept
    assert bk.compare(run, again).frame.height
    for name in set(bk.charts.__all__) - OF_SEVERAL:
        assert getattr(bk.charts, name)(run).to_dict()
    for file in ("r.html", "r.xlsx"):
        assert bk.report(run, tmp_path / file).stat().st_size > 1000


def test_the_tool_that_timed_it_is_named(tmp_path: Path) -> None:
    write(tmp_path, NAME, [request(0.2, 1.0, 5), request(0.4, 1.2, 5)])
    (found,) = [f for f in bk.read_genai_bench(tmp_path).findings if f.code == "clock_user"]
    assert "2 of 2 requests were timed by genai-bench, not by the OS kernel" in found.sentence
    assert "this process" not in found.sentence + found.cure
    assert "Linux" not in found.cure


def test_load_of_such_a_folder_says_who_reads_it(tmp_path: Path) -> None:
    write(tmp_path, NAME, [request(0.2, 1.0, 5)])
    with pytest.raises(
        StoreError, match=r"is not a run folder: .* genai-bench: bk\.read_genai_bench\(folder\) reads it"
    ):
        bk.load(tmp_path)


def test_milliseconds_are_seconds_here(tmp_path: Path) -> None:
    write(tmp_path, NAME, [request(200.0, 1000.0, 5, network_dns_time=0.01)], unit="ms")
    run = bk.read_genai_bench(tmp_path)
    row = run.requests.row(0, named=True)
    assert (row["ttft_s"], row["e2e_s"], row["tpot_s"], row["dns_s"]) == pytest.approx((0.2, 1.0, 0.2, 0.01))
    assert "genai_bench_ms" in codes(run)


def test_the_error_rate_is_counted_and_every_failure_keeps_its_kind(tmp_path: Path) -> None:
    failures = [
        (500, "a server's own"),
        ("429", "slow down"),
        (503, "Connection error: refused"),
        (408, "Request timed out: long"),
        (-1, "in the stream"),
        (0, "cancelled"),
        (0, None),
        ("rate_limit_exceeded", "x"),
    ]
    write(tmp_path, NAME, [request(), *(failure(*f) for f in failures)])
    run = bk.read_genai_bench(tmp_path)
    got = ["ok", "http_error", "http_error", "connection_error", "timeout", "api_error", "cancelled", "incomplete"]
    assert run.requests["outcome"].to_list() == [*got, "incomplete"]
    assert run.requests["status"].to_list()[1:3] == [500, 429]
    assert run.requests["error_message"].null_count() == 1
    assert run.summary_wide["error_rate"].to_list() == pytest.approx([7 / 8])  # the one that was cut is not judged
    assert codes(run) >= {"genai_bench_error_rate", "genai_bench_zero"}


def test_a_ttft_that_was_made_up_is_null(tmp_path: Path) -> None:
    write(tmp_path / "whole", NAME, [request(0.0010000000002, 1.0, 5), request(0.000999999998, 2.0, 5)])
    run = bk.read_genai_bench(tmp_path / "whole")
    assert run.requests.select("ttft_s", "tpot_s").null_count().row(0) == (2, 2)
    assert run.config.endpoint.stream is False
    assert "genai_bench_ttft" in codes(run)
    write(tmp_path / "streamed", NAME, [request(0.001, 1.0, 5), request(0.3, 1.0, 5), request(0.0, 1.0, 5)])
    assert bk.read_genai_bench(tmp_path / "streamed").requests["ttft_s"].to_list() == [0.001, 0.3, None]


def test_no_tokens_are_no_success_and_what_was_lost_is_said(tmp_path: Path) -> None:
    write(tmp_path, NAME, [request(), request(0.0, 1.0, 0)], num_requests=5)
    run = bk.read_genai_bench(tmp_path)
    assert run.requests["outcome"].to_list() == ["ok", "empty"]
    assert codes(run) >= {"genai_bench_empty", "genai_bench_lost"}
    assert any(f.sentence.startswith("genai-bench's totals include 3 request(s)") for f in run.findings)


def test_the_forks_decimal_levels_are_rates_and_its_models_are_chosen(tmp_path: Path) -> None:
    for model in ("a", "b_c"):
        name = f"D20_5_text-to-text_{model}_num_concurrency_0.5_time_3s.json"
        write(tmp_path, name, [request()], num_concurrency=0.5)
    metadata(tmp_path, api_model_name="a, b_c", character_token_ratio=4.1)
    with pytest.raises(StoreError, match=r"has model \['a', 'b_c'\], but a run has one: give model='a'"):
        bk.read_genai_bench(tmp_path)
    run = bk.read_genai_bench(tmp_path, model="b_c")
    assert run.summary_wide.select("load", "level").row(0) == ("request_rate", 0.5)
    assert run.requests.height == 1
    with pytest.raises(StoreError, match="has no model 'z'"):
        bk.read_genai_bench(tmp_path, model="z")


def test_an_old_folder(tmp_path: Path) -> None:
    write(tmp_path, NAME, [request()], unit=None, requests_per_minute=20.0)
    metadata(tmp_path, cmd="x --api_base http://127.0.0.1:9/v1 --api_key planted-4711", dataset_path=None)
    document = json.loads((tmp_path / NAME).read_text())
    for name in ("run_duration", "iteration_type", "batch_size"):
        del document["aggregated_metrics"][name]
    (tmp_path / NAME).write_text(json.dumps(document))
    run = bk.read_genai_bench(tmp_path)
    assert run.config.endpoint.url == "http://127.0.0.1:9/v1"
    assert run.requests["outcome"].to_list() == ["ok"]
    assert "planted-4711" not in json.dumps(run.metadata, default=str)


def test_batch_sizes_of_embeddings_are_levels_and_one_can_be_chosen(tmp_path: Path) -> None:
    for size in (1, 8, 24):
        over: dict[str, Any] = {
            "iteration_type": "batch_size",
            "num_concurrency": 1,
            "batch_size": size,
            "scenario": "E(64)",
        }
        name = f"E64_text-to-embeddings_batch_size_{size}_time_3s.json"
        write(tmp_path, name, [request(0.5, 0.5, 0)], **over)
    metadata(tmp_path, task="text-to-embeddings", traffic_scenario=["E(64)"], iteration_type="batch_size")
    run = bk.read_genai_bench(tmp_path)
    assert run.summary_wide.select("scenario", "level", "ok").rows() == [(f"E(64,{n})", 1.0, 1) for n in (1, 8, 24)]
    assert run.requests["batch_size"].to_list() == run.config.batch_size == [1, 8, 24]
    assert run.config.scenarios == ["E(64)"]
    run = bk.read_genai_bench(tmp_path, batch_size=8)
    assert run.requests.select("batch_size", "outcome", "ttft_s", "e2e_s").row(0) == (8, "ok", None, 0.5)
    assert run.requests["scenario"].to_list() == ["E(64)"]
    metadata(tmp_path, task="text-to-text", traffic_scenario=["E(64)"])
    with pytest.raises(StoreError, match="give batch_size=1"):
        bk.read_genai_bench(tmp_path)


def test_what_is_no_folder_of_genai_bench_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a result folder of genai-bench"):
        bk.read_genai_bench(tmp_path)
    metadata(tmp_path)
    with pytest.raises(StoreError, match="contains no results"):
        bk.read_genai_bench(tmp_path)
    (tmp_path / NAME).write_text("{")
    with pytest.raises(StoreError, match="damaged: it is not JSON"):
        bk.read_genai_bench(tmp_path)
    (tmp_path / NAME).write_text('{"aggregated_metrics": {}}')
    with pytest.raises(StoreError, match="no aggregated_metrics with a scenario"):
        bk.read_genai_bench(tmp_path)
    write(tmp_path, NAME, [request()])
    metadata(tmp_path, task="text-to-speech")
    with pytest.raises(ConfigError, match="'text-to-speech', is not supported"):
        bk.read_genai_bench(tmp_path)

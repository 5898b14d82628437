"""A run as genai-bench's folder; that its own commands read it is in tests/real/."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.interop.genai_bench.names import REQUEST
from basetenkit.results.pace import AT_ONCE_S

from ...making import number


@pytest.fixture(scope="module")
def run() -> Iterator[bk.Run]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m", api_key="planted-4711")
        loads = {"concurrency": [1, 2], "max_requests": 6, "warmup_requests": 2, "repeats": 2}
        yield bk.run_sync(
            bk.RunConfig(
                steady=False, preflight=False, endpoint=endpoint, scenarios=["D(20,5)", "N(20,2)/(8,2)"], **loads
            )
        )


def documents(folder: Path) -> dict[str, dict[str, object]]:
    return {p.name: json.loads(p.read_text()) for p in folder.iterdir()}


def test_a_run_written_is_the_run_read(run: bk.Run, tmp_path: Path) -> None:
    folder = bk.write_genai_bench(run, tmp_path / "x")
    back = bk.read_genai_bench(folder)
    # A file without messages cannot tell how many tokens the first one had: at the very limit the rule is theirs.
    written = pl.col("e2e_s") - pl.col("ttft_s") > AT_ONCE_S * pl.col("output_tokens")
    measured = run.requests.filter(phase="measured").with_columns(tpot_s=pl.when(written).then("tpot_s"))
    for name in ("ttft_s", "tpot_s", "e2e_s", "input_tokens", "output_tokens", "outcome"):
        assert back.requests[name].to_list() == pytest.approx(
            measured.sort("scenario", "level", maintain_order=True)[name].to_list()
        )
    assert len(documents(folder)) == 5
    assert "planted-4711" not in "".join(p.read_text() for p in folder.iterdir())


def test_its_totals_are_by_genai_benchs_definitions(run: bk.Run, tmp_path: Path) -> None:
    folder = bk.write_genai_bench(run, tmp_path / "x")
    (name,) = (n for n in documents(folder) if n.startswith("D20_5_text-to-text_num_concurrency_2_time_"))
    document = json.loads((folder / name).read_text())
    totals, rows = document["aggregated_metrics"], run.requests.filter(phase="measured", scenario="D(20,5)", level=2.0)
    spans = [number(part["end_s"].max()) - number(part["start_s"].min()) for _, part in rows.group_by("repeat")]
    assert totals["run_duration"] == pytest.approx(sum(spans))
    assert totals["requests_per_second"] == pytest.approx(12 / sum(spans))
    assert totals["mean_output_throughput_tokens_per_s"] == pytest.approx(60 / sum(spans))
    assert totals["stats"]["ttft"]["mean"] == pytest.approx(rows["ttft_s"].mean())
    assert totals["stats"]["e2e_latency"]["stddev"] == pytest.approx(rows["e2e_s"].std(ddof=0))
    assert set(document["individual_request_metrics"][0]) == {n.theirs for n in REQUEST} | {
        "error_code",
        "error_message",
    }


def test_a_run_of_errors_has_its_error_rate_and_no_figures(tmp_path: Path) -> None:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/v1/chat/completions", model="m")
    bk.write_genai_bench(
        bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, concurrency=1, max_requests=3)),
        tmp_path / "x",
    )
    (document,) = (d for n, d in documents(tmp_path / "x").items() if n != "experiment_metadata.json")
    totals = document["aggregated_metrics"]
    assert isinstance(totals, dict)
    assert (totals["error_rate"], totals["error_codes_frequency"]) == (1.0, {"503": 3})
    assert totals["stats"]["ttft"]["mean"] is None
    assert bk.read_genai_bench(tmp_path / "x").requests["outcome"].to_list() == ["connection_error"] * 3


def test_what_cannot_be_written_is_said_and_leaves_nothing(run: bk.Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes a Run, not str"):
        bk.write_genai_bench("runs/first", tmp_path / "x")  # type: ignore[arg-type]
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        bk.write_genai_bench(run, tmp_path / "file" / "x")
    with pytest.raises(StoreError, match="is not empty"):
        bk.write_genai_bench(run, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]

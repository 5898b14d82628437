"""Searches on the embedded endpoint, whose batch slope makes it slower with each request in flight."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.studies.capacity_state import FILE

from ..storage.bucket_server import Store
from ..storage.conftest import bucket_store

__all__ = ["bucket_store"]
SLO: dict[str, float] = {"e2e_s": 0.5}
SMALL = bk.Budget(requests=1200)


@pytest.fixture(scope="module")
def config() -> Iterator[bk.RunConfig]:
    """Each request in flight adds 20 ms to the time to the first token: with about 23 in flight the limit is reached."""
    with bk.emulator.serve(ttft_ms=20, itl_ms=1, batch_slope_ms=20) as server:
        price = bk.Price(usd_per_minute=0.6, source="a contract")
        yield bk.RunConfig(endpoint=bk.Endpoint(url=server.url, model="m"), scenarios="D(10,5)", price=price, salt="s")


@pytest.fixture(scope="module")
def found(config: bk.RunConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[bk.Capacity, Path]:
    folder = tmp_path_factory.mktemp("capacity")
    return bk.capacity_sync(
        config, slo=SLO, load="concurrency", budget=SMALL, certificate=False, save_to=folder
    ), folder


def test_it_gives_whole_levels_and_a_row_per_block(found: tuple[bk.Capacity, Path]) -> None:
    result, _ = found
    assert result.outcome == "found"
    assert result.low is not None
    assert result.value is not None
    assert result.high is not None
    assert 1 <= result.low <= result.value <= result.high
    assert result.low == int(result.low)
    assert result.low <= 30, "with 40 in flight every request misses the limit"
    assert result.frame.height == len(result.runs) - 1
    assert result.frame["kind"].to_list()[0] == "bracket"
    assert result.frame["usd"].null_count() == 0
    last = result.frame.row(-1, named=True)
    assert last["low"] <= last["value"] <= last["high"]


def test_sentence_and_caveats_say_how_far_to_trust_it(found: tuple[bk.Capacity, Path]) -> None:
    result, _ = found
    assert "Plan with" in result.sentence
    assert "requests in flight" in result.sentence
    assert any("a rough guess" in text for text in result.caveats)
    assert any("design effect" in text for text in result.caveats)
    assert result.sentence in result._repr_mimebundle_()["text/html"]
    assert result.chart().to_dict()["layer"]


def test_the_budget_is_exceeded_by_one_block_at_most(found: tuple[bk.Capacity, Path]) -> None:
    result, _ = found
    sent = result.frame["sent"].to_list()
    assert sum(sent[:-1]) + 20 <= 1200
    assert all(run.complete or row for run, row in zip(result.runs[1:], result.frame["abandoned"], strict=True))


def test_the_same_call_again_sends_nothing_and_says_the_same(
    found: tuple[bk.Capacity, Path], config: bk.RunConfig
) -> None:
    result, folder = found
    again = bk.capacity_sync(config, slo=SLO, load="concurrency", budget=SMALL, certificate=False, save_to=folder)
    assert again.frame.equals(result.frame)
    assert (again.low, again.value, again.high) == (result.low, result.value, result.high)


def test_a_search_is_kept_in_a_bucket_and_goes_on_there(bucket_store: Store, config: bk.RunConfig) -> None:
    how: dict[str, Any] = {
        "slo": SLO,
        "load": "concurrency",
        "certificate": False,
        "save_to": "s3://bkt/searches/first",
    }
    first = bk.capacity_sync(config, budget=bk.Budget(requests=150), **how)
    names = bucket_store.names()
    assert f"searches/first/{FILE}" in names
    assert "searches/first/block-000/run.json" in names
    again = bk.capacity_sync(config, budget=bk.Budget(requests=150), **how)
    assert again.frame.equals(first.frame)
    assert [run.requests.height for run in again.runs] == [run.requests.height for run in first.runs[1:]]
    with pytest.raises(ConfigError, match="s3://bkt/searches/first holds a search with another goodput"):
        bk.capacity_sync(config, goodput=0.9, budget=bk.Budget(requests=150), **how)


def test_a_search_goes_on_with_the_block_at_which_it_was(
    found: tuple[bk.Capacity, Path], config: bk.RunConfig, tmp_path: Path
) -> None:
    """A search that was killed after its second block: those two are kept, and the third asks for the same load."""
    result, folder = found
    saved: dict[str, Any] = json.loads((folder / FILE).read_text())
    saved["records"] = saved["records"][:2]
    (tmp_path / FILE).write_text(json.dumps(saved))
    budget = bk.Budget(requests=result.frame["sent"][:4].sum() + 30)
    again = bk.capacity_sync(config, slo=SLO, load="concurrency", budget=budget, certificate=False, save_to=tmp_path)
    assert again.frame["load"].to_list()[:3] == result.frame["load"].to_list()[:3]
    columns = ["load", "sent", "n", "good"]
    assert again.frame.select(columns)[:2].equals(result.frame.select(columns)[:2])
    kept = json.loads((tmp_path / FILE).read_text())
    assert kept["records"][:2] == saved["records"]
    assert len(kept["records"]) > 2


def test_a_folder_of_another_search_is_refused(found: tuple[bk.Capacity, Path], config: bk.RunConfig) -> None:
    with pytest.raises(ConfigError, match="another goodput"):
        bk.capacity_sync(config, slo=SLO, goodput=0.9, load="concurrency", budget=SMALL, save_to=found[1])


def test_an_endpoint_that_does_not_answer_raises_nothing() -> None:
    config = bk.RunConfig(endpoint="http://127.0.0.1:9/v1/chat/completions", scenarios="D(10,5)")
    result = bk.capacity_sync(config, slo=SLO, budget=bk.Budget(requests=100))
    assert result.outcome == "no_data"
    assert (result.value, result.resolved, result.certificate) == (None, False, "not run")
    assert result.runs[0].findings


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"slo": None}, "no limit is given"),
        ({"slo": SLO, "goodput": 1.0}, "goodput=1.0"),
        ({"slo": SLO, "load": "trace"}, "load='trace'"),
        ({"slo": SLO, "precision": 0}, "precision=0"),
        ({"slo": SLO, "budget": {"usd": 1}}, "needs a price"),
        ({"slo": SLO, "budget": {}}, "at least one limit"),
    ],
)
def test_impossible_settings_are_refused_before_anything_is_sent(options: dict[str, Any], what: str) -> None:
    config = bk.RunConfig(endpoint="http://127.0.0.1:9/v1/chat/completions")
    with pytest.raises(ConfigError, match=what):
        bk.capacity_sync(config, **options)
    with pytest.raises(ConfigError, match="one scenario"):
        bk.capacity_sync(config.with_(scenarios=["D(1,1)", "D(2,2)"]), slo=SLO)


def test_reasons_name_what_made_requests_bad(found: tuple[bk.Capacity, Path]) -> None:
    saved = json.loads((found[1] / FILE).read_text())["records"]
    for record in saved:
        bad = record["n"] - record["good"]
        assert math.isclose(sum(record["reasons"].values()), bad)
    assert {name for record in saved for name in record["reasons"]} <= {
        "slow response",
        "cut",
        "late first token",
        "failed",
    }
    assert pl.DataFrame(saved).height == len(saved)


KILLED = """
import sys
import basetenkit as bk
config = bk.RunConfig(endpoint=bk.Endpoint(url=sys.argv[1], model="m"), scenarios="D(10,5)")
bk.capacity_sync(config, slo={"e2e_s": 0.5}, load="concurrency", budget=bk.Budget(requests=3000), save_to=sys.argv[2])
"""


def test_a_search_whose_process_was_killed_goes_on_with_the_same_blocks(config: bk.RunConfig, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, config.endpoint.url, str(tmp_path)])
    try:
        saved: dict[str, Any] = {"records": []}
        while len(saved["records"]) < 2 and child.poll() is None:
            time.sleep(0.05)
            if (tmp_path / FILE).exists():
                saved = json.loads((tmp_path / FILE).read_text())
    finally:
        child.kill()
        child.wait()
    saved = json.loads((tmp_path / FILE).read_text())
    half = tmp_path / f"block-{len(saved['records']):03d}"
    plain = bk.RunConfig(endpoint=config.endpoint, scenarios="D(10,5)")
    budget = bk.Budget(requests=sum(record["sent"] for record in saved["records"]) + 400)
    again = bk.capacity_sync(plain, slo=SLO, load="concurrency", budget=budget, certificate=False, save_to=tmp_path)
    kept = json.loads((tmp_path / FILE).read_text())
    assert kept["records"][: len(saved["records"])] == saved["records"]
    assert kept["salt"] == saved["salt"]
    assert again.frame.height > len(saved["records"])
    assert bk.load(half).complete


def test_stop_keeps_the_blocks_so_far(config: bk.RunConfig, tmp_path: Path) -> None:
    async def main() -> bk.Capacity:
        control = bk.SearchControl()
        options: dict[str, Any] = {"slo": SLO, "load": "concurrency", "budget": bk.Budget(requests=5000)}
        search = asyncio.create_task(bk.capacity(config, **options, control=control, save_to=tmp_path))
        while not (control.progress and len(control.progress.records) >= 2):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert control.progress.left["requests"] < 5000
        assert control.progress.usd is not None
        control.stop()
        return await search

    found = asyncio.run(main())
    saved = json.loads((tmp_path / FILE).read_text())["records"]
    assert found.frame.height == len(saved) >= 2
    assert len(found.runs) >= len(saved) + 1
    assert found.certificate == "not run"


def test_in_conversations_each_one_is_one_observation() -> None:
    talks = [{"messages": [{"role": "user", "content": f"question {k} {t}"} for t in range(3)]} for k in range(50)]
    with bk.emulator.serve(batch_slots=8, decode_ms=4, decode_slope_ms=1, prefix_cache_tokens=10_000) as server:
        config = bk.RunConfig(
            endpoint=bk.Endpoint(url=server.url, model="m"),
            dataset=pl.DataFrame(talks),
            scenarios="RD(3)",
        )
        found = bk.capacity_sync(config, slo={"e2e_s": 0.1}, load="concurrency", budget={"requests": 500})
    blocks = found.frame.filter(~pl.col("abandoned"))
    assert blocks.height
    assert (blocks["n"] * 2 < blocks["sent"]).all(), "three turns per conversation"
    assert any("conversations" in text for text in found.caveats)

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError

from ..making import number

KEY = "planted-key-4711"


def config(url: str, **fields: Any) -> bk.RunConfig:
    settings: dict[str, Any] = {"scenarios": "N(40,10)/(8,2)", "concurrency": 2} | fields
    return bk.RunConfig(
        steady=False, preflight=False, endpoint=bk.Endpoint(url=url, model="m", api_key=KEY), **settings
    )


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Any, Any]]:
    with bk.emulator.serve(ttft_ms=20, itl_ms=1) as fast, bk.emulator.serve(ttft_ms=80, itl_ms=1) as slow:
        yield fast, slow


@pytest.fixture(scope="module")
def found(servers: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> bk.EndpointComparison:
    fast, slow = servers
    options: dict[str, Any] = {"pairs": 6, "block_requests": 8, "control": True, "metric": "ttft_s"}
    folder = tmp_path_factory.mktemp("comparison") / "blocks"
    return bk.compare_endpoints_sync(config(fast.url), config(slow.url), save_to=folder, **options)


def test_a_slower_endpoint_differs(found: bk.EndpointComparison) -> None:
    assert found.verdict.status == "differs"
    assert str(found.verdict).startswith("They differ: B's TTFT is ")
    (ttft,) = found.frame.filter((pl.col("metric") == "ttft_s") & (pl.col("of") == "block means")).to_dicts()
    assert 1.5 < ttft["ratio"] < 4.5
    assert ttft["low"] < ttft["ratio"] < ttft["high"]
    assert ttft["pairs"] == 6
    assert set(found.frame["metric"]) == {"ttft_s", "tpot_s", "e2e_s", "output_tokens_per_s"}


def test_a_design_below_the_rule_is_said_to_be(found: bk.EndpointComparison) -> None:
    assert "The design is below the rule (6 pairs, at least 10 are needed; blocks of " in str(found.verdict)
    assert "cannot see a drift that only one of them had" in " ".join(found.words)
    for text in (repr(found), found._repr_html_()):
        assert "below the rule" in text
        assert "Control: A against A" in text
        assert KEY not in text


def test_a_pair_has_the_same_prompts_and_lengths(found: bk.EndpointComparison) -> None:
    assert found.blocks["sent"].to_list() == [8] * 18
    assert set(found.blocks["block"]) == {"A", "B", "A'"}
    firsts = found.blocks.group_by("pair", maintain_order=True).agg(pl.col("block").first())["block"]
    assert firsts.n_unique() > 1  # in random order
    runs = {(r["pair"], r["block"]): run for r, run in zip(found.blocks.to_dicts(), found.runs, strict=True)}

    def asked(pair: int, block: str) -> list[Any]:
        rows = runs[pair, block].requests.sort("request_id")
        return [rows[c].to_list() for c in ("input_tokens_target", "output_tokens_target", "input_tokens_client")]

    assert asked(0, "A") == asked(0, "B")
    assert asked(0, "A")[:2] == asked(0, "A'")[:2]
    assert asked(0, "A") != asked(1, "A")
    salts = {key: run.config.salt for key, run in runs.items()}
    assert salts[0, "A"] == salts[0, "B"] != salts[0, "A'"]
    assert salts[0, "A"] != salts[1, "A"]


def test_each_block_is_kept_as_a_run(found: bk.EndpointComparison) -> None:
    folder = found.runs[0].path
    assert folder is not None
    root = folder.parent
    history = bk.history(root).select("run", "sent", "problem").collect()
    assert history.height == 18
    assert history["problem"].null_count() == 18
    assert {Path(r).name for r in history["run"]} >= {"000-A", "000-B", "000-A-control"}


def test_the_same_endpoint_twice_and_blocks_by_a_pilot(servers: tuple[Any, Any]) -> None:
    same = config(servers[0].url)
    result = asyncio.run(bk.compare_endpoints(same, same, pairs=2, block_seconds=0.5, margin=0.9))
    # a verdict would be wrong once in twenty times, by its rule
    means = result.frame.filter(of="block means")["ratio"]  # the p95 of 20 requests is one busy moment of the machine
    assert means.is_between(0.4, 2.5).all(), "the machine may be busy with something else"
    assert result.blocks["sent"][0] >= 10
    assert number(result.blocks["seconds"].min()) > 0.1
    salts = {run.config.salt for run in result.runs}
    assert len(salts) == 4  # the second block would be answered from the first one's cache


def test_endpoints_that_fail_have_no_verdict_and_raise_nothing(servers: tuple[Any, Any]) -> None:
    with bk.emulator.serve(fail={"http_500": 1.0}) as broken:
        result = bk.compare_endpoints_sync(config(servers[0].url), config(broken.url), pairs=2, block_requests=6)
    assert result.verdict.status == "not enough data"
    assert "0 pairs of blocks" in str(result.verdict)
    assert "Failed: 12 of B's 12 requests." in str(result.verdict)


@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        ({"concurrency": [1, 2]}, {}, "one scenario and one level at a time, not 1 and 2"),
        ({"task": "text-to-embeddings", "batch_size": [1, 8]}, {}, "one scenario and one level at a time, not 1 and 2"),
        ({"concurrency": 3}, {}, "differ in concurrency"),
        ({}, {"pairs": 1}, "pairs=1; 2 at least"),
        ({}, {"margin": 5}, "a share between 0 and 1"),
        ({}, {"metric": "p95"}, "one of ttft_s, tpot_s"),
        ({}, {"block_requests": 2}, "block_requests=2; 4 at least"),
    ],
)
def test_a_wrong_design_is_told_before_anything_is_sent(
    fields: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    a, b = config("http://127.0.0.1:9/x"), config("http://127.0.0.1:9/x", **fields)
    first = b if "one scenario" in words else a
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        bk.compare_endpoints_sync(first, b, **options)


def test_anything_but_a_config_is_told() -> None:
    with pytest.raises(ConfigError, match="config_b is a str"):
        bk.compare_endpoints_sync(config("http://127.0.0.1:9/x"), "http://127.0.0.1:9/x")  # type: ignore[arg-type]

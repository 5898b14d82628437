from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.noise_floor import Noise
from basetenkit.core.errors import ConfigError
from basetenkit.studies.noise import DURATIONS


def test_an_endpoint_against_itself(tmp_path: Path) -> None:
    with bk.emulator.serve(ttft_ms=10, itl_ms=1, jitter=0.3) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(endpoint=endpoint, scenarios="D(20,8)", concurrency=2, max_requests=30)
        runs = [bk.run_sync(config, save_to=tmp_path / name) for name in ("a", "b")]
        found = bk.noise_sync(config, minutes=0.1, save_to=tmp_path / "noise")
    assert len([folder for folder in (tmp_path / "noise").iterdir() if folder.is_dir()]) == 20
    ttft = found.frame.filter(pl.col("metric") == "ttft_s").sort("minutes")
    assert ttft["minutes"].to_list() == list(DURATIONS)
    assert ttft["shows"].is_sorted(descending=True)
    assert (ttft["shows_low"] < ttft["shows"]).all()
    assert (ttft["shows"] < ttft["shows_high"]).all()
    assert (ttft["half_width"] < ttft["shows"]).all()
    assert set(found.band["metric"]) >= {"ttft_s_p50", "e2e_s_p95", "output_tokens_per_s"}
    assert ((found.band["low"] < 1) & (found.band["high"] > 1)).all()
    assert any(text.startswith("The design is below the rule") for text in found.words)
    assert Noise.load_from(tmp_path / "noise").band.equals(found.band)
    compared = bk.compare(*runs)  # they were saved beside it
    assert compared.frame.filter(pl.col("metric") == "ttft_s_p50")["noise_low"].item() < 1
    assert "KEY" not in (tmp_path / "noise" / "noise.json").read_text()


def test_a_duration_that_cannot_be_is_refused_before_anything_is_sent() -> None:
    config = bk.RunConfig(endpoint="http://127.0.0.1:9/v1/chat/completions", concurrency=1)
    with pytest.raises(ConfigError, match="above 0"):
        bk.noise_sync(config, minutes=0)
    with pytest.raises(ConfigError, match="one scenario and one level"):
        bk.noise_sync(config.with_(concurrency=[1, 2]))

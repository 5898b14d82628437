from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.noise_floor import BAND, FRAME, Noise, band_of
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.reporting import charts
from tests.analysis.frames import Frames, rows


def noise(**fields: Any) -> Noise:
    band = pl.DataFrame([["ttft_s_p50", 0.9, 1.1, 20], ["e2e_s_p50", 0.95, 1.05, 20]], BAND, orient="row")
    frame = pl.DataFrame([["ttft_s", 10.0, 10, 0.02, 0.03, 0.02, 0.06]], FRAME, orient="row")
    about: dict[str, Any] = {"url": "http://127.0.0.1:9/v1/chat/completions", "model": "m", "scenario": "D(100,20)"}
    about |= {"load": "concurrency", "level": 1.0, "started_at": 1.8e9, "minutes": 10.0, "block_requests": 50}
    return Noise(**about | {"block_s": 30.0, "frame": frame, "band": band, "words": ["one"]} | fields)


def saved(folder: Path, **columns: Any) -> Path:
    Frames(rows(60, **columns)).save(folder)
    return folder


def test_noise_is_kept_as_a_file_and_read_back(tmp_path: Path) -> None:
    noise().save(tmp_path / "noise")
    found = Noise.load_from(tmp_path / "noise")
    assert found.frame.equals(noise().frame)
    assert found.band.equals(noise().band)
    assert (found.url, found.level, found.words) == (noise().url, 1.0, ["one"])
    assert "3.0% (2.0% to 6.0%)" in repr(found)


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        Noise.load_from(tmp_path)
    (tmp_path / "noise.json").write_text("{")
    with pytest.raises(StoreError, match="is damaged"):
        Noise.load_from(tmp_path)


def test_a_band_holds_the_ratio_of_two_more_blocks_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(1000):
        found = band_of(list(rng.lognormal(0, 0.1, 10)))
        assert found is not None
        held += found[0] <= rng.lognormal(0, 0.1) / rng.lognormal(0, 0.1) <= found[1]
    assert 930 <= held <= 970
    assert band_of([1.0] * 5) is None
    assert band_of([1.0, None, 1.2, 1.1, 1.0, 0.9]) is None


def test_a_comparison_finds_the_noise_beside_its_runs_and_draws_it(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a"), saved(tmp_path / "b", ttft_s=0.2)
    assert bk.compare(a, b).frame["noise_low"].null_count() == bk.compare(a, b).frame.height
    noise(started_at=1.7e9, band=noise().band.with_columns(low=0.5)).save(tmp_path / "older")
    noise().save(tmp_path / "noise")
    noise(model="another").save(tmp_path / "another")
    found = bk.compare(a, b)
    row = found.frame.filter(pl.col("metric") == "ttft_s_p50").row(0, named=True)
    assert (row["noise_low"], row["noise_high"]) == (0.9, 1.1)
    assert found.words[-1].startswith("Grey bands: the same endpoint against itself, in blocks of 50 requests")
    drawn = charts.comparison(found).to_dict()
    marks = [layer["mark"]["type"] for layer in drawn["spec"]["layer"]]
    assert marks[0] == "rect"
    assert "Grey: the same endpoint against itself" in drawn["title"]["subtitle"]


def test_another_level_has_no_band_and_a_given_noise_is_used(tmp_path: Path) -> None:
    runs = [Frames(rows(60)), Frames(rows(60, ttft_s=0.2))]
    given = bk.compare(*runs, noise=noise())
    assert given.frame["noise_high"].max() == 1.1
    assert bk.compare(*runs, noise=noise(level=8.0)).frame["noise_low"].null_count() == given.frame.height
    with pytest.raises(ConfigError, match="noise takes what"):
        bk.compare(*runs, noise=3)  # type: ignore[arg-type]

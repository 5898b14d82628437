"""Gates against a history of saved runs whose days vary by a known amount."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.gates import FAIL, INCONCLUSIVE, PASS, Gate, check_gates, guarded
from basetenkit.analysis.history_gates import from_history
from basetenkit.core.errors import StoreError

from .frames import failures, rows
from .saved import save

DAY = 86400.0
TTFT = "time to first token p50 / history"


def day(path: Path, number: int, factor: float, n: int = 200, spread: float = 0.1, **fields: Any) -> Path:
    noise = np.random.default_rng(number).lognormal(0, spread, n) * factor
    frame = rows(n, ttft_s=0.1 * noise, e2e_s=0.5 * noise, in_window=True)
    return save(path / f"day-{number:02d}", frame, at=1.7e9 + number * DAY, **fields)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve days that vary by 5%."""
    path = tmp_path_factory.mktemp("history")
    for number, factor in enumerate(np.random.default_rng(7).lognormal(0, 0.05, 12)):
        day(path, number, factor)
    return path


def gates(run: Path, past: Any) -> dict[str, Gate]:
    return {gate.gate: gate for gate in from_history(bk.load(run), past)}


def test_a_day_like_the_others_is_kept_and_each_guarded_figure_has_a_gate(past: Path, tmp_path: Path) -> None:
    found = gates(day(tmp_path, 20, 1.0), past)
    assert len(found) == len([name for name in guarded("concurrency") if name != "inputs_per_s"])
    assert {gate.verdict for gate in found.values()} == {PASS}
    assert " ms" in found[TTFT].found
    assert "after the 12 runs before it, at most 1" in found[TTFT].sentence


def test_a_day_that_no_day_has_been_like_is_missed_and_a_better_one_is_kept(past: Path, tmp_path: Path) -> None:
    assert gates(day(tmp_path / "a", 20, 1.5), past)[TTFT].verdict == FAIL
    assert gates(day(tmp_path / "b", 20, 0.5), past)[TTFT].verdict == PASS


def test_what_a_wide_interval_of_the_run_itself_may_explain_is_not_certain(past: Path, tmp_path: Path) -> None:
    found = gates(day(tmp_path, 20, 1.6, n=24, spread=0.9), past)
    assert found[TTFT].verdict == INCONCLUSIVE


def test_a_run_of_nothing_but_errors_is_missed_and_not_unknown(past: Path, tmp_path: Path) -> None:
    bad = save(tmp_path / "bad", failures(40), at=1.7e9 + 30 * DAY)
    assert gates(bad, past)[TTFT].verdict == FAIL


def test_only_earlier_runs_of_the_same_configuration_count(past: Path, tmp_path: Path) -> None:
    other = gates(day(tmp_path / "a", 20, 1.0, request_params={"temperature": 1.0}), past)
    assert {gate.verdict for gate in other.values()} == {INCONCLUSIVE}
    early = gates(day(tmp_path / "b", 3, 1.0), past)
    assert early[TTFT].verdict == INCONCLUSIVE
    assert early[TTFT].sentence.endswith("has 3 earlier run(s) since it last changed; a gate needs 5.")


def test_runs_before_the_last_step_do_not_count(tmp_path: Path) -> None:
    for number in range(26):
        day(tmp_path / "all", number, (1.0 if number < 14 else 2.0) * (1 + 0.02 * (number % 3)))
    found = gates(day(tmp_path / "new", 40, 2.0), tmp_path / "all")[TTFT]
    assert "after the 12 runs before it" in found.sentence
    assert found.verdict == PASS
    assert gates(day(tmp_path / "worse", 40, 2.8), tmp_path / "all")[TTFT].verdict == FAIL


def test_judge_takes_a_folder_or_a_frame(past: Path, tmp_path: Path) -> None:
    run = bk.load(day(tmp_path, 20, 1.5))
    assert any("is expected" in sentence for sentence in check_gates(run, history=past).failed)
    few = bk.history(past).filter(pl.col("started_at") < pl.lit("2023-11-16").str.to_datetime(time_zone="UTC"))
    assert not check_gates(run, history=few).failed
    with pytest.raises(StoreError):
        check_gates(run, history=tmp_path / "nowhere")


@pytest.mark.thorough
def test_an_unchanged_endpoint_rarely_misses(tmp_path: Path, past: Path) -> None:
    verdicts = [
        gate.verdict
        for number, factor in enumerate(np.random.default_rng(9).lognormal(0, 0.05, 12))
        for gate in gates(day(tmp_path, 100 + number, factor), past).values()
    ]
    assert verdicts.count(FAIL) <= 1
    assert verdicts.count(PASS) > 0.9 * len(verdicts)

"""The notebooks that answer one question each: on defaults, on saved runs whose rows are known, and where they must fail.

Their measurements are made small by parameters; a breach is tried by the command line, as a scheduler would see it. That the
scheduled run measures, and adds to its history, is in test_scheduling.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import basetenkit as bk

from .analysis.frames import rows
from .analysis.saved import save
from .papers import NOTEBOOKS, Papers, charts, shown
from .storage.bucket_server import SECRET, Store
from .storage.conftest import bucket_store

__all__ = ["bucket_store"]


def known(folder: Path, slower: float = 1.0, at: float = 1.7e9, **columns: Any) -> Path:
    """A saved run of 400 requests whose latencies vary by a tenth, times `slower`; begun at `at` (s since 1970)."""
    noise = np.random.default_rng(1).lognormal(0, 0.1, 400) * slower
    return save(folder, rows(400, ttft_s=0.1 * noise, e2e_s=0.5 * noise, **columns), at=at, slo={"ttft_s": 0.5})


def test_the_token_notebook_names_the_cause_of_each_gap_and_what_failures_cost(papers: Papers, tmp_path: Path) -> None:
    notebook = papers.run("03_token_accounting", tmp_path, max_requests=48, max_unexplained=0.0)
    text = shown(notebook)
    assert "the model ended by itself before the length asked for" in text
    assert "incomplete" in text
    assert re.search(r"unexplained tokens .* 0\.00% .* pass", text)
    assert len(charts(notebook)) == 1


def test_an_unexplained_rest_fails_the_token_notebook_with_its_size(papers: Papers, tmp_path: Path) -> None:
    folder = str(known(tmp_path / "run", output_tokens_client=14))
    error = papers.error("03_token_accounting", tmp_path, run_folder=folder, max_unexplained=0.01)
    assert error.ename == "GateError"
    assert "5.00% of the tokens paid for is unexplained; at most 1.00% may be." in error.evalue


def test_the_latency_notebook_shows_distributions_and_how_sure_they_are(papers: Papers, tmp_path: Path) -> None:
    notebook = papers.run("04_latency_distributions", tmp_path, concurrency="[8]", max_requests=48)
    text = shown(notebook)
    assert len(charts(notebook)) == 7
    assert "Time per output token" in text
    assert "≥" in text
    assert "within ttft_s 0.2, tpot_s 0.02, %" in text


def by_command(folder: Path, *parameters: str) -> tuple[int, str]:
    """(exit code, last line) of papermill on the scheduled notebook, without colours."""
    command = [sys.executable, "-m", "papermill", str(NOTEBOOKS / "07_scheduled_run.ipynb"), str(folder / "out.ipynb")]
    done = subprocess.run([*command, *parameters], capture_output=True, text=True, check=False)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr).strip().splitlines()
    return done.returncode, lines[-1]


def test_a_breach_of_slo_and_baseline_ends_papermill_with_one_sentence(tmp_path: Path) -> None:
    baseline, run = known(tmp_path / "a"), known(tmp_path / "b", slower=5.0)
    code, last = by_command(tmp_path, "-p", "run_folder", str(run), "-p", "baseline", str(baseline))
    assert code == 1
    assert last.startswith("GateError: ")
    assert "of the requests were within ttft_s 0.5; at least 99.0% must be" in last
    assert "time to first token p50 is 5.00 (" in last
    assert last.endswith("is allowed.")
    assert "text/html" in (tmp_path / "out.ipynb").read_text(), "the notebook is the report, and is kept"


@pytest.mark.parametrize(("slower", "missed"), [(1.0, False), (3.0, True)])
def test_a_scheduled_run_is_judged_by_its_history(papers: Papers, tmp_path: Path, slower: float, missed: bool) -> None:
    for day in range(6):
        known(tmp_path / "history" / f"day-{day}", slower=1 + 0.02 * (day % 3), at=1.7e9 + 86400 * day)
    run = known(tmp_path / "history" / "today", slower=slower, at=1.7e9 + 86400 * 6)
    if missed:
        said = papers.error("07_scheduled_run", tmp_path, run_folder=str(run), by_history=True)
        assert said.ename == "GateError"
        assert "after the 6 runs before it" in said.evalue
    else:
        assert "GateError" not in shown(papers.run("07_scheduled_run", tmp_path, run_folder=str(run), by_history=True))


def test_a_schedule_keeps_its_runs_and_its_baseline_in_a_bucket(bucket_store: Store, tmp_path: Path) -> None:
    """As a scheduler does it: each time a new process, which knows the bucket from its environment and its parameters."""
    for number in range(2):
        after = ["-p", "baseline", "s3://bkt/runs/earlier", "-p", "tolerance", "50"] if number else []
        code, last = by_command(tmp_path, "-p", "history", "s3://bkt/runs", "-p", "max_requests", "400", *after)
        assert code == 0, last
        if not number:
            (name,) = {name.split("/")[1] for name in bucket_store.names()}
            bk.load(f"s3://bkt/runs/{name}").save("s3://bkt/runs/earlier")
    found = bk.history("s3://bkt/runs").select("run", "complete", "goodput").collect()
    assert found["complete"].to_list() == [True, True, True]
    assert SECRET not in (tmp_path / "out.ipynb").read_text()


def test_a_baseline_that_is_no_run_is_told_before_anything_is_measured(papers: Papers, tmp_path: Path) -> None:
    missing, history = str(tmp_path / "no"), str(tmp_path / "history")
    assert missing in papers.error("07_scheduled_run", tmp_path, baseline=missing, history=history).evalue
    assert not (tmp_path / "history").exists()


def test_a_comparison_in_short_blocks_says_that_its_design_is_below_the_rule(papers: Papers, tmp_path: Path) -> None:
    notebook = papers.run("08_compare_endpoints", tmp_path, pairs=2, block_requests=6)
    text = shown(notebook)
    assert "The design is below the rule (2 pairs, at least 10 are needed" in text
    assert len(charts(notebook)) == 1
    assert "Control: A against A, in which nothing differs" in text
    assert "over 2 pairs" in text


def test_two_saved_runs_have_no_verdict_but_a_warning(papers: Papers, tmp_path: Path) -> None:
    a, b = known(tmp_path / "a"), known(tmp_path / "b", slower=1.3)
    text = shown(papers.run("08_compare_endpoints", tmp_path, run_a=str(a), run_b=str(b)))
    assert "a difference may come from when they ran" in text
    assert "b against a, with 95% intervals" in text


def test_the_trends_of_its_own_small_history_have_a_step_and_an_outlier(papers: Papers, tmp_path: Path) -> None:
    notebook = papers.run("09_trends", tmp_path)
    text = shown(notebook)
    assert re.search(r"at concurrency 4 +step ", text)
    assert re.search(r"at concurrency 4 +outlier .* 1-0 ", text)
    assert len(charts(notebook)) == 1

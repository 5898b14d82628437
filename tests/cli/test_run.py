"""`basetenkit run` and `open`: the plan before a run, the screen while it goes on, and its end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.cli.ending import outcomes

from .commands import here
from .test_app import KEY, call, one_sentence


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1, api_key=KEY) as server:
        yield server


def command(server: Any, *more: str, scenario: str = "D(20,5)", requests: str = "6") -> list[str]:
    load = ["--concurrency", "1,2", "--scenario", scenario, "--requests", requests]
    return ["run", server.url, "--model", "m", "--api-key", KEY, *load, *more]


@pytest.fixture(scope="module")
def measured(server: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("run") / "r"
    return folder, call(*command(server, "--slo", "ttft=30", "--save", str(folder)))


def test_a_run_says_its_plan_and_its_verdict_and_where_it_is(
    measured: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = measured
    run = bk.load(folder)
    assert done.returncode == 0, done.stderr
    assert [entry.level for entry in run.manifest.levels] == [1.0, 2.0]
    assert (run.config.max_requests, run.config.slo) == (6, {"ttft_s": 30.0})
    assert done.stderr.startswith("plan: 2 level(s), ")
    assert "dollars unknown (no price is given)" in done.stderr
    assert done.stdout.startswith(str(run.verdict))
    for words in ("concurrency 2", "6 of 6", "goodput, %", outcomes(run), str(folder), *(f.code for f in run.findings)):
        assert words in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_a_run_that_is_there_already_sends_nothing_and_says_so(
    server: Any, measured: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    before = bk.load(measured[0]).requests.height
    again = here(*command(server, "--slo", "ttft=30", "--save", str(measured[0])))
    assert f"nothing was sent: every level is already in {measured[0]}" in again.stderr
    assert bk.load(measured[0]).requests.height == before


def test_open_makes_the_report_and_says_where(measured: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, _ = measured
    done = call("open", str(folder))
    assert done.returncode == 0, done.stderr
    assert f"wrote {folder / 'report.html'}" in done.stdout
    assert str(bk.load(folder).verdict) in done.stdout
    assert "<h1>" in (folder / "report.html").read_text()


def test_wrong_usage_says_what_was_meant(server: Any) -> None:
    assert call("--version").stdout == f"basetenkit {bk.__version__}\n"
    assert "Possible options: --concurrency" in here("run", server.url, "--concurency", "1").stderr
    one_sentence(here("run", server.url, "--concurrency", "one"), "must be numbers with commas between them")
    one_sentence(here("run", server.url, "--slo", "speed=1"), "speed")
    one_sentence(here("benchmark", "--num-concurency", "2"), "did you mean --num-concurrency?")
    one_sentence(here("benchmark", "--concurrency", "2"), "use --num-concurrency")
    shown = here("run", "--help").stdout
    for default in (
        "[default: 200]",
        "[default: 600",
        "[default: D(100,100)]",
        "[default: 0.99]",
        "[default: no limit]",
    ):
        assert default in " ".join(shown.replace("│", " ").split())


def test_a_price_is_in_the_plan_and_at_the_end(server: Any, tmp_path: Path) -> None:
    price = ["--price", "usd_per_minute=0.6", "--price", "source=a contract", "--price", "as_of=2026-11-28"]
    done = call(*command(server, *price, "--save", str(tmp_path / "r")))
    assert done.returncode == 0, done.stderr
    assert "dollars (price from a contract, 2026-11-28)" in done.stderr
    assert "USD/1M output tokens" in done.stdout
    assert bk.load(tmp_path / "r").usd == 0.6
    wrong = call(*command(server, "--price", "usd_per_minute"))
    assert wrong.returncode == 2
    assert "--price" in wrong.stderr

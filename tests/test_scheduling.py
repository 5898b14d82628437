"""What docs/how-to/schedule.md tells to do is done: the cron line's command by sh, the run steps of the Actions file by bash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import basetenkit as bk

from .analysis.frames import rows
from .analysis.saved import save

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "how-to" / "schedule.md").read_text()


def fences(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A home with a clone in it, as the page has it, whose environment is the one of these tests."""
    folder = tmp_path / "basetenkit"
    folder.mkdir()
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    (folder / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".basetenkit.env").write_text("export BASETEN_API_KEY=planted-key-4711\n")
    return folder


def run_by(shell: list[str], command: str, clone: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, in a clone, with a `uv run` that takes the environment that is there already."""
    tools = clone / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "uv").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (tools / "uv").chmod(0o755)
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {**os.environ, "HOME": str(clone.parent), "PATH": path, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [*shell, command], cwd=clone, env=own, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_cron_line_says_nothing_while_all_is_well_and_one_sentence_on_a_breach(clone: Path) -> None:
    [line], [script] = fences("cron"), fences("sh")
    command = line.strip().removeprefix("15 6 * * * ")
    assert "%" not in command, "cron takes a % for the end of the line"
    (clone / "schedule.sh").write_text(script)
    good = save(clone / "runs" / "good", rows(40), slo={"ttft_s": 0.5})
    bad = save(clone / "runs" / "bad", rows(40), slo={"ttft_s": 0.05})
    said = []
    for folder in (good, bad):
        (clone / "schedule.yaml").write_text(f"run_folder: {folder}\n")
        said.append(run_by(["sh", "-c"], command, clone))
    assert (said[0].stdout, said[0].stderr) == ("", "")
    assert [done.returncode for done in said] == [0, 1]
    [sentence] = said[1].stdout.splitlines()
    assert sentence == (
        "GateError: 1 of 3 gates failed: D(100,20) at concurrency 1: 0.0% (0.0% to 9.5%) of the requests were within ttft_s 0.05; "
        "at least 99.0% must be."
    )
    assert list((clone / "runs" / "reports").glob("*.ipynb"))


def test_the_parameters_of_the_page_are_those_of_the_notebook() -> None:
    parameters = yaml.safe_load(fences("yaml")[0])
    text = (ROOT / "notebooks" / "07_scheduled_run.ipynb").read_text()
    assert [name for name in parameters if f'"{name} = ' not in text] == []


@pytest.mark.thorough
def test_the_steps_of_the_actions_file_measure_judge_and_leave_a_page(clone: Path) -> None:
    job = yaml.safe_load(fences("yaml")[1])["jobs"]["measure"]
    steps = {step["name"]: step for step in job["steps"] if "run" in step}
    assert list(steps) == ["install", "measure and judge", "the report as a page"]
    assert set(job["env"]) == {"ENDPOINT_URL", "ENDPOINT_MODEL"}
    save(clone / "runs" / "history" / "earlier", rows(40))
    with bk.emulator.serve(ttft_ms=5, itl_ms=0.5, api_key="planted-key-4711") as server:
        environment = {"ENDPOINT_URL": server.url, "ENDPOINT_MODEL": "m", "BASETEN_API_KEY": "planted-key-4711"}
        measured = run_by(["bash", "-e", "-c"], steps["measure and judge"]["run"], clone, **environment)
    assert measured.returncode == 0, measured.stderr[-500:]
    paged = run_by(["bash", "-e", "-c"], steps["the report as a page"]["run"], clone)
    assert paged.returncode == 0, paged.stderr[-500:]
    assert bk.history(clone / "runs" / "history").collect()["ok"].to_list() == [40, 400]
    page = (clone / "runs" / "report.html").read_text()
    assert "at least 99.0%" in page
    assert "earlier" in page
    assert "planted-key-4711" not in (clone / "runs" / "report.ipynb").read_text()

"""The command line as it is used, against the embedded endpoint: each command once as its own process, its other forms in
this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk

from .commands import SETTINGS, here

KEY = "planted-key-4711"
COMMAND = [sys.executable, "-m", "basetenkit"]


def environment(**more: str) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in SETTINGS} | {"COLUMNS": "200"} | more


def call(*args: str, cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    env = environment(**more)
    return subprocess.run([*COMMAND, *args], capture_output=True, text=True, env=env, cwd=cwd, check=False, timeout=120)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1, api_key=KEY) as server:
        yield server


def flags(server: Any, requests: int = 6, scenario: str = "D(20,5)") -> list[str]:
    load = ["--num-concurrency", "2", "--max-requests-per-run", str(requests), "--max-time-per-run", "5"]
    where = ["--api-backend", "baseten", "--api-base", server.url, "--api-key", KEY, "--api-model-name", "m"]
    return ["benchmark", *where, "--task", "text-to-text", "--traffic-scenario", scenario, *load]


def one_sentence(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("basetenkit: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.fixture(scope="module")
def saved(server: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A benchmark that went well: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("cli") / "a run"
    return folder, call(*flags(server), "--save-to", str(folder), "--slo", "ttft_s=30", "--slo", "e2e_s=60")


def test_a_benchmark_prints_its_figures_and_is_saved(saved: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, done = saved
    assert done.returncode == 0, done.stderr
    run = bk.load(folder)
    assert run.complete
    assert run.config.slo == {"ttft_s": 30.0, "e2e_s": 60.0}
    measured = run.requests.filter(pl.col("phase") == "measured")
    assert measured["outcome"].to_list() == ["ok"] * 6
    for words in ("D(20,5)", "concurrency 2", "6 of 6", "TTFT p50, ms", str(folder), *(f.code for f in run.findings)):
        assert words in done.stdout
    assert KEY not in done.stdout + done.stderr


def test_json_is_one_document_and_quiet_is_nothing(server: Any, tmp_path: Path) -> None:
    done = call(*flags(server), "--json", "--experiment-base-dir", str(tmp_path), "--experiment-folder-name", "x")
    said = json.loads(done.stdout)
    assert said["folder"] == str(tmp_path / "x")
    assert (said["complete"], said["missed"], said["summary"][0]["ok"]) == (True, [], 6)
    assert {f["code"] for f in said["findings"]} == {f.code for f in bk.load(tmp_path / "x").findings}
    quiet = call(*flags(server), "--quiet", cwd=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    (folder,) = (tmp_path / "runs").iterdir()
    assert bk.load(folder).complete


def test_a_gate_that_failed_is_told_by_the_exit_code(server: Any, tmp_path: Path) -> None:
    slow = here(*flags(server), "--slo", "ttft_s=0.000001", "--save-to", str(tmp_path / "slow"))
    assert slow.returncode == 1
    assert "of the requests were within ttft_s 1e-06; at least 99.0% must be" in slow.stdout
    wrong = [KEY + "-wrong" if flag == KEY else flag for flag in flags(server)]
    none = here(*wrong, "--save-to", str(tmp_path / "none"), "--json")
    assert (none.returncode, json.loads(none.stdout)["missed"]) == (1, ["No request was ok."])
    assert set(bk.load(tmp_path / "none").requests["status"].drop_nulls()) == {401}


def test_wrong_usage_is_one_sentence(server: Any, tmp_path: Path) -> None:
    save = ["--save-to", str(tmp_path / "r")]
    one_sentence(here(*flags(server, scenario="Q(1,2)"), *save), "Q(1,2)")
    one_sentence(here(*flags(server), *save, "--slo", "ttft_s"), "is not NAME=SECONDS")
    one_sentence(here(*flags(server), *save, "--slo", "speed=1"), "speed")
    one_sentence(here(*flags(server), *save, "--experiment-base-dir", "x"), "not both")
    one_sentence(here("preflight", "no-url"), "it must be an http:// or https:// URL")
    one_sentence(here("compare", str(tmp_path), str(tmp_path)), str(tmp_path))
    assert not (tmp_path / "r").exists()
    assert here("dance").returncode == 2


@pytest.mark.baseten("debug")
def test_debug_shows_bodies_without_the_key(server: Any, tmp_path: Path) -> None:
    done = call(*flags(server, requests=2), "--save-to", str(tmp_path / "r"), LOG_LEVEL="DEBUG")
    assert done.returncode == 0
    rows = bk.load(tmp_path / "r").requests
    assert done.stderr.count('"messages"') == rows.height
    # What kept the load on may have been cancelled when all of its answer had come.
    assert 2 <= (rows["outcome"] == "ok").sum() <= done.stderr.count("data: [DONE]") <= rows.height
    assert KEY not in done.stderr + done.stdout


def test_debug_shows_exchanges_while_the_run_goes_on(server: Any, tmp_path: Path) -> None:
    command = [*COMMAND, *flags(server, requests=100_000, scenario="D(10,20)"), "--save-to", str(tmp_path / "r")]
    env = environment(LOG_LEVEL="DEBUG")
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("POST http://127.0.0.1" in line for line in lines)
        assert any("data: [DONE]" in line for line in lines)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert KEY not in process.stderr.read()
    assert process.returncode == 130


def test_a_flag_that_does_nothing_is_said(server: Any, tmp_path: Path) -> None:
    command = [*flags(server, requests=2), "--spawn-rate", "3", "--save-to"]
    said = here(*command, str(tmp_path / "a"))
    assert said.returncode == 0
    assert "basetenkit: flag_idle: --spawn-rate has no effect here" in said.stderr
    assert here(*command, str(tmp_path / "b"), "--quiet").stderr == ""


def test_an_interrupt_saves_first(server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    long = flags(server, requests=100_000, scenario="D(10,200)")
    process = subprocess.Popen(
        [*COMMAND, *long, "--save-to", str(folder)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not list(folder.glob("levels/000/requests-*")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "not complete" in out
    run = bk.load(folder)
    assert not run.complete
    assert set(run.requests["outcome"]) == {"ok", "cancelled"}


def test_preflight(server: Any) -> None:
    well = call("preflight", server.url, "--model", "m", MODEL_API_KEY=KEY)
    assert (well.returncode, "sent as Bearer" in well.stdout) == (0, True)
    wrong = here("preflight", server.url, "--api-key", KEY + "-wrong", "--json")
    said = json.loads(wrong.stdout)
    assert (wrong.returncode, said["status"], said["ok"]) == (1, 401, False)
    assert said["advice"]
    assert KEY not in well.stdout + wrong.stdout + well.stderr + wrong.stderr


def test_compare(server: Any, tmp_path: Path) -> None:
    config = bk.RunConfig(
        steady=False,
        preflight=False,
        endpoint=bk.Endpoint(url=server.url, model="m", api_key=KEY),
        scenarios="D(20,5)",
        concurrency=2,
        max_requests=6,
    )
    for name in "ab":
        bk.run_sync(config, save_to=tmp_path / name)
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    assert "b - a" in call("compare", a, b).stdout
    said = json.loads(here("compare", a, b, "--json").stdout)
    assert {row["metric"] for row in said["frame"]} >= {"ttft_s_p50", "e2e_s_p50"}
    assert here("compare", a, b, "--quiet").stdout == ""


def test_plot(saved: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    done = call("plot", str(saved[0]), str(tmp_path / "charts"), "--kind", "svg", "--json")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "charts" / "waterfall.svg") in json.loads(done.stdout)["written"]
    drawn = sorted((tmp_path / "charts").iterdir())
    assert {p.name for p in drawn} >= {"latency_ecdf.svg", "serving_curve.svg", "waterfall.svg"}
    assert all("<svg" in p.read_text() for p in drawn)
    one_sentence(here("plot", str(saved[0]), str(tmp_path), "--kind", "bmp"), "html, svg, png, json")


def test_report_and_excel(saved: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    run, page, book = str(saved[0]), tmp_path / "r.html", tmp_path / "r.xlsx"
    done = call("report", run, str(page))
    assert (done.returncode, done.stdout) == (0, f"wrote {page}\n")
    assert "<svg" in page.read_text() or "<img" in page.read_text()
    assert json.loads(here("excel", run, str(book), "--json").stdout) == {"written": str(book)}
    assert zipfile.is_zipfile(book)
    assert here("report", run, str(page), "--quiet").stdout == ""
    one_sentence(here("report", run, str(tmp_path / "r.pdf")), "should end in .html, .xlsx, .csv")
    one_sentence(here("excel", run, str(page)), "should end in .xlsx")
    one_sentence(here("report", str(tmp_path), str(page)), "is not a run folder")
    one_sentence(here("report", run, str(tmp_path / "none" / "r.html")), "cannot be written")


def test_doctor_and_help() -> None:
    found = json.loads(call("doctor", "--json", MODEL_API_KEY=KEY).stdout)
    assert (found["basetenkit"], found["MODEL_API_KEY is set"]) == (bk.__version__, True)
    said = here("doctor", MODEL_API_KEY=KEY).stdout
    assert "MODEL_API_KEY is set    yes" in said
    assert KEY not in said + json.dumps(found)
    shown = here("--help").stdout
    for name in ("benchmark", "preflight", "compare", "report", "excel", "plot", "emulator", "doctor"):
        assert f" {name} " in shown
    for panel in ("Measure", "Saved runs", "Tools"):
        assert f" {panel} " in shown
    assert "--num-concurrency" in here("benchmark", "--help").stdout
    assert "--ttft-ms" in here("emulator", "--help").stdout


def test_the_emulator_serves_until_told_to_end() -> None:
    command = [*COMMAND, "emulator", "--port", "0", "--ttft-ms", "1"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base = process.stdout.readline().removeprefix("listening on ").strip()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{base}/v1/models") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0

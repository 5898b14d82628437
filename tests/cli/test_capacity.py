from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

import basetenkit as bk
from basetenkit.cli.app import app


def test_it_searches_prints_one_document_and_fails_if_not_resolved(tmp_path: Path) -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=1, batch_slope_ms=40) as server:
        line = ["capacity", "--api-base", server.url, "--api-model-name", "m", "--traffic-scenario", "D(10,3)"]
        line += ["--slo", "e2e=0.4", "--load", "concurrency", "--budget-requests", "300", "--json"]
        done = CliRunner().invoke(app, [*line, "--save-to", str(tmp_path), "--price", "usd_per_minute=0.6"])
    document = json.loads(done.stdout)
    assert done.exit_code == (0 if document["resolved"] else 1)
    assert document["goodput"] == 0.95
    assert document["slo"] == {"e2e_s": 0.4}
    assert document["blocks"]
    assert document["blocks"][0]["usd"] > 0
    assert (tmp_path / "capacity.json").exists()


def test_a_limit_is_needed() -> None:
    done = CliRunner().invoke(app, ["capacity", "--api-base", "http://127.0.0.1:9/v1/chat/completions"])
    assert done.exit_code == 2

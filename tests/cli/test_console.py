"""What a terminal shows: no character of a server's text moves the cursor, and each exchange is shown once."""

from __future__ import annotations

from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.cli.console import Traffic, print_json, print_table
from basetenkit.results.store import RunFolder


def test_text_moves_no_cursor_and_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["what", "found"], [["[bold]x[/]", "\x1b[31mred"]])
    print_json({"path": Path("a"), "n": None})
    out = capsys.readouterr().out
    assert "[bold]x[/]" in out
    assert "\\x1b[31mred" in out
    assert '"path": "a"' in out


def test_each_exchange_is_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        endpoint = bk.Endpoint(url=f"{server.url}?api_key=planted-4711", model="m")
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=endpoint,
            scenarios="D(10,3)",
            concurrency=1,
            max_requests=2,
            capture="all",
        )
        traffic = Traffic(RunFolder(tmp_path / "r"), endpoint.url)
        run = bk.run_sync(config, save_to=tmp_path / "r")
    traffic.show_new()
    shown = capsys.readouterr().err
    assert [shown.count(f"--- {name}: POST ") for name in run.captured] == [1, 1]
    assert "planted-4711" not in shown
    traffic.show_new()
    assert capsys.readouterr().err == ""

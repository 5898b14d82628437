from __future__ import annotations

import re
from pathlib import Path

import pytest

from basetenkit.cli.comparison import show_comparison

from ..reporting.test_comparison_report import of_runs


@pytest.mark.parametrize("width", [80, 200])
def test_no_line_of_the_table_is_wider_than_the_terminal(
    width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show_comparison(of_runs(tmp_path))
    lines = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    (head,) = [line for line in lines if "metric" in line and "b / a" in line]
    assert max(map(len, lines)) <= width
    assert ("b - a" in head) == (width == 200)
    assert any("ttft_s_p50" in line and "ms" in line and "(" in line for line in lines)

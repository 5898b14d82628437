"""The magic in an IPython shell, as `%load_ext basetenkit` makes it known."""

from __future__ import annotations

import polars as pl
from IPython.core.interactiveshell import InteractiveShell

import basetenkit as bk

COMMAND = 'benchmark --api-base {} --traffic-scenario "D(10,5)" \\\n --num-concurrency 1 --max-requests-per-run 2'


def test_the_line_and_the_cell_give_a_run() -> None:
    shell = InteractiveShell()
    shell.run_line_magic("load_ext", "basetenkit")
    with bk.emulator.serve(ttft_ms=1, itl_ms=0) as server:
        command = COMMAND.format(server.url)
        in_line = shell.run_line_magic("genai_bench", command)
        in_cell = shell.run_cell_magic("genai_bench", *command.split("\n", 1))
    for run in (in_line, in_cell):
        assert isinstance(run, bk.Run)
        measured = run.requests.filter(pl.col("phase") == "measured")
        assert measured["outcome"].to_list() == ["ok", "ok"]

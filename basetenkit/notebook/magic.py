"""`%genai_bench benchmark ...` in a notebook: the very text of a command line, and a Run as the cell's value.

`%load_ext basetenkit` registers it, as a line magic and, for commands of several lines, as a cell magic.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..interop.genai_bench.flags import config_from_command, upload_from_command
from ..interop.github_releases import Release, upload_run
from ..runs import Run
from ..session import run_sync


def genai_bench(line: str, cell: str | None = None) -> Run:
    """Runs the command to its end and gives the Run. ConfigError before anything is sent; StoreError if the
    run is measured and GitHub does not take it."""
    command, target = upload_from_command(line if cell is None else f"{line}\n{cell}")
    name, config = time.strftime("%Y%m%d-%H%M%S"), config_from_command(command)
    if not isinstance(target, Release):
        return run_sync(config, save_to=target and target / name)
    run = run_sync(config, save_to=Path("runs", name))
    upload_run(Path("runs", name), target)
    return run


def register(shell: Any) -> None:
    """Makes `%genai_bench` and `%%genai_bench` known to that IPython shell."""
    shell.register_magic_function(genai_bench, magic_kind="line_cell", magic_name="genai_bench")

"""The commands of basetenkit, called in the process of the tests."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from basetenkit.cli.app import main

SETTINGS = ["MODEL_API_KEY", "BASETEN_API_KEY", "LOG_LEVEL"]


def here(*args: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """The command line in this process: to start one takes longer than what most commands do."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name in SETTINGS:
            patch.delenv(name, raising=False)
        for name, value in {"COLUMNS": "200", **more}.items():  # whatever the width of this terminal
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["basetenkit", *map(str, args)])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(args, code, out.getvalue(), err.getvalue())

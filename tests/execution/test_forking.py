"""A forked process: before the first run it works like any other; after it, a sentence and not a hang."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import basetenkit as bk
from basetenkit.core.errors import ForkError
from basetenkit.execution import forking

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
CODE = """
import os
import polars as pl
import basetenkit as bk

config = bk.RunConfig(
    steady=False, preflight=False, endpoint=bk.Endpoint(url={url!r}, model="m"), scenarios="D(10,3)", concurrency=1, max_requests=2)

def in_a_child(call):
    if (child := os.fork()) == 0:
        try:
            print(call(), flush=True)
        except Exception as error:
            print(type(error).__name__, error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)

def run():
    return set(bk.run_sync(config).requests["outcome"])

in_a_child(run)
{between}
in_a_child(run)
in_a_child(lambda: bk.preflight(config.endpoint).ok)
"""


@pytest.mark.parametrize("between", ["run()", "pl.LazyFrame({'a': [1]}).group_by('a').len().collect()"])
def test_a_child_forked_after_polars_has_worked_gets_a_sentence(between: str) -> None:
    with bk.emulator.serve(ttft_ms=10, itl_ms=1) as server:
        code = CODE.format(url=server.url, between=between)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    before, *after = done.stdout.splitlines()
    assert before == "{'ok'}", done.stderr
    assert len(after) == 2
    assert all(line.startswith("ForkError this process was forked after") for line in after)
    assert all("get_context('spawn')" in line for line in after)


def test_this_process_was_not_forked() -> None:
    forking.check_not_forked()
    assert issubclass(ForkError, RuntimeError)

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from basetenkit.core.errors import ConfigError
from basetenkit.execution.limits import OPEN_FILES_SPARE, PORT_RANGE, check_ports, check_room
from basetenkit.results.store import RunFolder

from .test_checks import URL, config, folder

__all__ = ["folder"]


def limited(soft: int, hard: int, **fields: Any) -> str:
    """What `allow_open_files` says and leaves behind, in a process whose limit is lowered: it cannot be raised again."""
    code = f"""
import resource
import basetenkit as bk
from basetenkit.execution.limits import allow_open_files
config = bk.RunConfig(endpoint=bk.Endpoint(url={URL!r}), **{fields!r})
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
try:
    allow_open_files(config)
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
except bk.errors.ConfigError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_soft_limit_on_open_files_is_raised_as_far_as_needed_and_no_lower() -> None:
    assert limited(100, 400, concurrency=[1, 200]) == f"{200 + OPEN_FILES_SPARE} 400"
    assert limited(100, 400, concurrency=[2]) == "100 400"
    assert limited(100, 400, concurrency=[336]) == "400 400"


def test_more_connections_than_files_may_be_open_are_refused_by_the_name_of_their_field() -> None:
    told = "open files are needed and the limit is 400 (ulimit -n); at most 336 fit"
    assert limited(100, 400, concurrency=[1, 337]) == f"RunConfig.concurrency: 401 {told}"
    fields = {"request_rate": 5, "max_in_flight": 1000}
    assert limited(100, 400, **fields) == f"RunConfig.max_in_flight: 1064 {told}"


def test_an_open_loop_without_a_bound_asks_for_what_is_spare_only() -> None:
    assert limited(30, 400, request_rate=5) == f"{OPEN_FILES_SPARE} 400"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"max_requests": 10**9, "max_seconds": 86_400.0, "repeats": 1000, "scenarios": "D(10,1000)"},
            r"max_requests: .* GB on the disk of",
        ),
        ({"concurrency": 100_000, "scenarios": "D(10,1000000)"}, r"concurrency: .* GB of memory"),
    ],
)
def test_a_plan_that_cannot_fit_is_told(folder: RunFolder, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_room(config(**fields), folder)


def test_a_plan_that_its_time_limit_keeps_small_is_let_through(folder: RunFolder) -> None:
    check_room(config(max_requests=10**9, max_seconds=5.0), folder)


def test_more_connections_than_this_machine_has_ports_are_refused_before_the_start() -> None:
    low, high = map(int, PORT_RANGE.read_text().split())
    check_ports(config(concurrency=[high - low + 1]))
    for fields in ({"concurrency": [1, high - low + 2]}, {"request_rate": 5, "max_in_flight": high - low + 2}):
        with pytest.raises(ConfigError, match=f"this machine has {high - low + 1} local ports") as caught:
            check_ports(config(**({"concurrency": []} | fields)))
        assert list(fields)[-1] in str(caught.value)

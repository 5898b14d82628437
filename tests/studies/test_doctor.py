from __future__ import annotations

import importlib.metadata
import json
import resource

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.studies.doctor import VARIABLES, doctor, kernel_stamps

KEY = "planted-key-4711"


def test_it_tells_versions_and_limits() -> None:
    found = doctor()
    assert found["basetenkit"] == bk.__version__
    assert found["polars"] == pl.__version__
    assert found["httpx"] == importlib.metadata.version("httpx")
    assert found["open files"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert found["CPUs"] >= found["CPUs that may be used"] >= 1
    assert "datasets" not in found, "an extra is no dependency"


@pytest.mark.parametrize("variable", VARIABLES)
def test_of_a_key_it_tells_only_that_it_is_set(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert not doctor()[f"{variable} is set"]
    monkeypatch.setenv(variable, KEY)
    found = doctor()
    assert [name for name in VARIABLES if found[f"{name} is set"]] == [variable]
    assert KEY not in json.dumps(found)


def test_kernel_stamps_are_those_that_a_run_has() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        run = bk.run_sync(
            bk.RunConfig(
                steady=False, preflight=False, endpoint=endpoint, scenarios="D(10,3)", concurrency=1, max_requests=3
            )
        )
    assert kernel_stamps() == (run.requests["clock"] == "kernel").all()

"""How a run ends: repeats, a dead endpoint, a token limit, a wrong configuration, a killed process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, MissingKeyError

from .making import number
from .test_session import config


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=20, itl_ms=2, tail_ms=5) as server:
        yield server


def test_repeats_are_rows_of_their_own(server: Any) -> None:
    run = bk.run_sync(config(server, repeats=2, max_requests=3, concurrency=[1, 2]))
    assert run.requests.group_by("repeat", "level").len()["len"].to_list() == [3] * 4
    assert run.summary.height == 2


def test_what_the_endpoint_does_never_raises(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9/v1/chat/completions", "http://no-such-host.invalid/v1"):
        run = bk.run_sync(
            bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint(url=url), concurrency=2, max_requests=4)
        )
        assert (run.requests["outcome"] == "connection_error").all()
        assert run.findings[0].code == "all_failed"
        assert run.requests.height == 4
        assert run.summary.height == 1
        run.save(tmp_path / url.split("/")[2].replace(":", "_"))


def test_a_401_is_a_row_with_the_servers_own_words() -> None:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1, api_key="right") as server:
        wrong = bk.run_sync(config(server, max_requests=4))
        right = bk.run_sync(
            bk.RunConfig(
                steady=False,
                preflight=False,
                endpoint=bk.Endpoint(url=server.url, api_key="right"),
                scenarios="D(5,2)",
                concurrency=1,
                max_requests=2,
            )
        )
    assert (wrong.requests["outcome"] == "http_error").all()
    assert (wrong.requests["status"] == 401).all()
    assert wrong.requests["error_message"].null_count() == 0
    assert (right.requests["outcome"] == "ok").all()


def test_a_level_whose_first_requests_all_fail_gives_up_and_says_why() -> None:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/")
    run = bk.run_sync(
        bk.RunConfig(
            steady=False, preflight=False, endpoint=endpoint, concurrency=2, max_requests=500, abort_after_failures=5
        )
    )
    assert 5 <= run.requests.height < 20
    assert "gave_up" in [f.code for f in run.findings]
    assert run.fates["never_sent"].sum() == 500 - run.requests.height


def test_a_guard_on_tokens_ends_a_level(server: Any) -> None:
    run = bk.run_sync(config(server, max_total_tokens=350, max_requests=100))
    assert 1 <= run.requests.height <= 5
    total = number(run.requests["input_tokens"].sum()) + number(run.requests["output_tokens"].sum())
    assert total <= 350
    assert "tokens_spent" in [f.code for f in run.findings]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tokenizer": "/no/such/folder"}, "/no/such/folder"),
        ({"task": "image-text-to-text"}, "D(50,20)"),
        ({"dataset": "prompts.txt"}, "dataset"),
    ],
)
def test_a_wrong_configuration_raises_before_anything_is_sent(server: Any, fields: dict[str, Any], words: str) -> None:
    server.truth(reset=True)
    with pytest.raises(ConfigError) as caught:
        bk.run_sync(config(server, **fields))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.truth()["requests"] == []


def test_a_missing_key_names_both_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_API_KEY", raising=False)
    monkeypatch.delenv("BASETEN_API_KEY", raising=False)
    with pytest.raises(MissingKeyError, match="MODEL_API_KEY or BASETEN_API_KEY"):
        bk.start(bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint.baseten("abcd1234")))


def test_a_config_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="takes a RunConfig, not dict"):
        bk.start({})  # type: ignore[arg-type]


def test_kill_minus_nine_leaves_what_was_spooled(server: Any, tmp_path: Path) -> None:
    code = f"""
import basetenkit as bk
endpoint = bk.Endpoint(url={server.url!r}, model="m")
config = bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, scenarios="D(10,50)", concurrency=4, max_requests=100000)
bk.run_sync(config, save_to={str(tmp_path / "r")!r})
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    while not list((tmp_path / "r").glob("levels/000/requests-*.parquet")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run = bk.load(tmp_path / "r")
    assert not run.complete
    assert run.requests.height > 0
    assert (run.requests["outcome"] == "ok").all()
    assert "stopped_early" in [f.code for f in run.findings]

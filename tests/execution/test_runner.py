"""What a run is made of: its levels in order, the requests of each, the guard on what it spends, the head that is sent."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import StoreError
from basetenkit.core.findings import finding
from basetenkit.core.reasons import Stop, StopReason
from basetenkit.execution.runner import RunController

from ..making import KEY, URL, conductor, config, head_lines


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=2, itl_ms=1) as server:
        yield server


def test_the_head_has_what_a_server_needs_and_asks_for_no_encoding() -> None:
    first, headers = head_lines(api_key=KEY)
    assert first == "POST /v1/chat/completions HTTP/1.1"
    assert headers["host"] == "127.0.0.1:9"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["user-agent"] == f"basetenkit/{bk.__version__}"
    assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("stream", "accept"), [(True, "text/event-stream, */*"), (False, "*/*")])
def test_json_alone_is_never_what_is_accepted(stream: bool, accept: str) -> None:
    assert head_lines(stream=stream)[1]["accept"] == accept


@pytest.mark.parametrize(
    ("url", "scheme", "value"),
    [
        ("https://model-abcd1234.api.baseten.co/production/predict", "auto", f"Api-Key {KEY}"),
        ("https://chain-abcd1234.api.baseten.co/production/run_remote", "auto", f"Api-Key {KEY}"),
        ("https://inference.baseten.co/v1/chat/completions", "auto", f"Bearer {KEY}"),
        ("https://model-abcd1234.api.baseten.co/production/predict", "Bearer", f"Bearer {KEY}"),
        (URL, "Api-Key", f"Api-Key {KEY}"),
        (URL, "none", None),
        ("https://model-x.example.com/", "auto", f"Bearer {KEY}"),
    ],
)
def test_the_scheme_of_authorization_follows_the_host(url: str, scheme: str, value: str | None) -> None:
    assert head_lines(url=url, auth_scheme=scheme, api_key=KEY)[1].get("authorization") == value


def test_the_users_own_headers_win() -> None:
    own = {"Authorization": "Custom x", "Accept": "application/x", "X-Team": "us", "User-Agent": "mine"}
    _, headers = head_lines(api_key=KEY, headers=own)
    assert headers["authorization"] == "Custom x"
    assert (headers["accept"], headers["user-agent"], headers["x-team"]) == ("application/x", "mine", "us")
    assert KEY not in str(headers)


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://[::1]:8080/v1", "/v1", "[::1]:8080"),
        ("http://user:pass@127.0.0.1:9/x?a=1&b=%20c", "/x?a=1&b=%20c", "127.0.0.1:9"),
        ("http://127.0.0.1:9", "/", "127.0.0.1:9"),
        ("http://127.0.0.1:9?a=1", "/?a=1", "127.0.0.1:9"),
        ("http://127.0.0.1:9/a#part", "/a", "127.0.0.1:9"),
        ("http://127.0.0.1:9/a b/é", "/a%20b/%C3%A9", "127.0.0.1:9"),
        ("http://127.0.0.1:9/a%2Fb", "/a%2Fb", "127.0.0.1:9"),
        ("http://bücher.example/", "/", "xn--bcher-kva.example"),
    ],
)
def test_the_target_and_the_host_are_those_of_the_url(url: str, target: str, host: str) -> None:
    first, headers = head_lines(url=url)
    assert first == f"POST {target} HTTP/1.1"
    assert headers["host"] == host
    assert "pass" not in str(headers)


def test_rows_can_be_read_from_another_thread_while_they_are_spooled(server: Any, tmp_path: Path) -> None:
    c = config(url=server.url, concurrency=[4, 2], max_requests=100_000, max_seconds=2.3)
    it, seen, failed = conductor(c, tmp_path / "r"), [0], []

    def work() -> None:
        try:
            it.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        requests, chunks = it.recorded(lambda rows, chunks: (rows.collect(), chunks.collect()))
        assert requests["request_id"].is_unique().all()
        assert set(chunks["request_id"].unique()) <= set(requests["request_id"])
        seen.append(requests.height)
    thread.join()
    assert failed == []
    assert seen == sorted(seen)
    sent = [level.sent for level in it.manifest.levels]
    assert rows_of(it) == sum(sent) >= 6
    assert [level.done for level in it.manifest.levels] == [True, True]
    assert [len(it.folder.parts("requests", i)) for i in (0, 1)] == [1, 1]


def rows_of(it: RunController) -> int:
    return it.recorded(lambda rows, _: rows.collect().height)


def test_a_level_knows_how_it_ended_and_its_peak(server: Any, tmp_path: Path) -> None:
    it = conductor(config(url=server.url, concurrency=[3], max_requests=9, warmup_requests=2), tmp_path / "r")
    it.run()
    (level,) = it.manifest.levels
    assert (level.sent, level.peak_in_flight, level.held_back, level.ended_by) == (11, 3, 0, None)
    assert (level.seconds or 0) > 0
    assert it.progress.finished == it.progress.outcomes["ok"] == 11
    assert it.progress.output_tokens == 55
    assert it.progress.as_dict()["levels_done"] == 1


def test_a_conductor_stopped_before_it_begins_sends_nothing(server: Any, tmp_path: Path) -> None:
    server.truth(reset=True)
    it = conductor(config(url=server.url), tmp_path / "r")
    it.stop(Stop(StopReason.STOPPED, {"why": "before it began"}))
    it.run()
    assert server.truth()["requests"] == []
    assert rows_of(it) == 0
    assert not it.manifest.levels[0].done


@pytest.mark.parametrize(("capture", "kept"), [("none", 0), ("errors", 0), ("all", 6)])
def test_raw_bytes_are_kept_as_capture_says(server: Any, tmp_path: Path, capture: str, kept: int) -> None:
    it = conductor(config(url=server.url, capture=capture), tmp_path / "r")
    it.run()
    assert it.folder.scan("exchanges").collect().height == kept


def test_errors_are_captured_and_what_has_no_room_is_counted(server: Any, tmp_path: Path) -> None:
    failing = bk.Endpoint(url=server.url, model="m", headers={"x-emulator-fail": "http_500"})
    it = conductor(config(endpoint=failing), tmp_path / "errors")
    it.run()
    assert it.folder.scan("exchanges").collect().height == 6
    assert it.progress.last_error is not None
    none_fits = conductor(config(url=server.url, capture="all", capture_limit_mb=0), tmp_path / "full")
    none_fits.run()
    assert none_fits.folder.scan("exchanges").collect().height == 0
    assert none_fits.notes == [finding("capture_full", n=6, limit=0)]


def test_a_guard_reached_in_one_level_leaves_nothing_for_the_next(server: Any, tmp_path: Path) -> None:
    it = conductor(config(url=server.url, concurrency=[1, 2], max_total_tokens=80), tmp_path / "r")
    it.run()
    first, second = it.manifest.levels
    assert (first.sent, second.sent) == (3, 0)  # 25 tokens each, and then no room for another
    assert first.tokens_guard
    assert rows_of(it) == 3


def test_a_folder_that_can_no_longer_be_written_ends_the_run_with_one_sentence(tmp_path: Path) -> None:
    """As with a full disk: earlier files stay, and the run does not pretend to go on."""
    with bk.emulator.serve(ttft_ms=5, itl_ms=1) as server:
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=bk.Endpoint(url=server.url),
            scenarios="D(10,5)",
            concurrency=2,
            max_requests=100_000,
        )
        live = bk.start(config, save_to=tmp_path / "run")
        level = tmp_path / "run" / "levels" / "000"
        while not list(level.glob("requests-*")):
            time.sleep(0.02)
        shutil.rmtree(level)
        level.write_text("in the way")
        with pytest.raises(StoreError, match="cannot be written"):
            live.result(30)


def test_rows_spooled_while_the_level_ends_are_all_there(tmp_path: Path) -> None:
    """The last second's part may still be on its way to the disk when the level is put together."""
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as server:
        config = bk.RunConfig(
            steady=False,
            preflight=False,
            endpoint=bk.Endpoint(url=server.url),
            scenarios="D(5,3)",
            concurrency=8,
            max_requests=10_000,
            max_seconds=1.01,
            repeats=4,
        )
        run = bk.run_sync(config, save_to=tmp_path / "run")
    sent = sum(level["sent"] for level in run.metadata["levels"])
    assert run.requests.height == sent
    assert run.requests["request_id"].is_unique().all()

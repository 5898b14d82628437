from __future__ import annotations

from collections.abc import Iterator

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.notebook.workbench.source import choices, from_run, headers_in, headers_out, kept, pasted, source


@pytest.fixture(scope="module")
def run() -> Iterator[bk.Run]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=2) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        yield bk.run_sync(
            bk.RunConfig(
                steady=False,
                preflight=False,
                endpoint=endpoint,
                scenarios="D(5,6)",
                concurrency=1,
                max_requests=3,
                capture="all",
            )
        )


def test_a_run_gives_its_kept_requests_with_the_bounds_of_their_rows(run: bk.Run) -> None:
    frame = kept(run)
    assert sorted(frame["request_id"]) == sorted(run.requests["request_id"])
    row = run.requests.row(1, named=True)
    taken = from_run(run, row["request_id"])
    parsed = taken.case.parse()
    assert parsed.text == row["text"]
    bounds = taken.event_bounds(parsed)
    assert bounds[0] == pytest.approx(row["ttft_error_s"])
    assert len(taken.read_bounds()) == len(taken.case.read_ends)
    assert [label for label, _ in choices(frame, row["request_id"])] == [
        f"{row['request_id']}   ok, {row['output_chunks']} events"
    ]
    assert choices(frame, "timeout") == []


def test_without_an_exchange_no_bound_is_known() -> None:
    taken = source(None)
    assert set(taken.read_bounds()) == {None}
    assert taken.event_bounds(taken.case.parse()) == [None] * 5


def test_what_was_pasted_is_read_in_its_form() -> None:
    assert pasted("\nHTTP/1.1 503 Busy\nserver: x\n\nno", "text").case.status == 503
    assert pasted("7b 7d", "hex").case.body == b"{}"
    assert pasted("e3\n0=", "base64").case.body == b"{}"
    with pytest.raises(ConfigError, match="not base64"):
        pasted("!", "base64")


def test_headers_are_lines_and_a_secret_among_them_is_left_out() -> None:
    headers = headers_in("Content-Type: text/plain\n\nAuthorization: Api-Key abc")
    assert headers == (("Content-Type", "text/plain"), ("Authorization", "***"))
    assert headers_in(headers_out(bk.ParserCase(b"", headers=headers))) == headers
    with pytest.raises(ConfigError, match="headers, line 1: 'nonsense' is not a header"):
        headers_in("nonsense")


def test_what_is_no_response_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no response can be read from int"):
        source(5)

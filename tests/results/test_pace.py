"""TPOT from the tokens that came in the time: hand-made responses, each with its one right value, and real servers."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.parsing import parse_response
from basetenkit.results.recorder import Recorder
from basetenkit.workload.tokenizer import load_tokenizer

from ..peer import END, HEAD, chunk, peer
from .test_recorder import DONE, FINISH, KEY, ORIGIN, SSE, Read, exchange, row_of, said, usage

HEADERS_AHEAD = [*SSE, ("content-length", "1")]


def stream(times: list[float], texts: list[str], end: bytes = FINISH + DONE) -> list[Read]:
    """A message per text, each in its own read that it ends; times in ms."""
    reads: list[Read] = [(at, at - 0.1, True, said(text)) for at, text in zip(times, texts, strict=True)]
    return [*reads, (times[-1] + 1, times[-1], True, end)]


def each_10_ms(n: int, first: float = 500.0) -> list[float]:
    return [first + 10 * i for i in range(n)]


def finish(**counts: Any) -> bytes:
    return FINISH + usage(**counts) + DONE


def notes(row: dict[str, Any]) -> list[str]:
    return [n.code for n in row["notes"]]


def test_hidden_reasoning_is_no_part_of_the_pace() -> None:
    counts = {"prompt_tokens": 9, "completion_tokens": 450, "completion_tokens_details": {"reasoning_tokens": 400}}
    row = row_of(exchange(stream(each_10_ms(50), [" w"] * 50, finish(**counts))))
    assert row["output_tokens"] == 450  # the account stays the server's
    assert row["tpot_s"] == pytest.approx(0.010)


def test_hidden_reasoning_of_which_the_server_says_nothing_is_none_either() -> None:
    end = finish(prompt_tokens=9, completion_tokens=450)
    row = row_of(exchange(stream(each_10_ms(50), [" w"] * 50, end)))
    assert row["tpot_s"] == pytest.approx(0.010)


def test_several_tokens_per_message_count_from_the_second_message_on() -> None:
    end = finish(prompt_tokens=9, completion_tokens=10)
    row = row_of(exchange(stream([500, 600], [" a b c d e", " f g h i j"], end)))
    assert row["tpot_s"] == pytest.approx(0.020)
    assert "first_message" in notes(row)


def test_messages_of_unlike_size_are_weighed_by_their_tokens() -> None:
    end = finish(prompt_tokens=9, completion_tokens=9)
    row = row_of(exchange(stream([500, 540, 590], [" a b", " c d e", " f g h i"], end)))
    assert row["tpot_s"] == pytest.approx(0.090 / 7)


def test_a_tokenizer_that_counts_otherwise_does_not_bend_it() -> None:
    """The server's tokens are half of the tokenizer's, one per message, or two."""
    end = finish(prompt_tokens=9, completion_tokens=20)
    row = row_of(exchange(stream(each_10_ms(20), [" a b"] * 20, end)))
    assert row["tpot_s"] == pytest.approx(0.010)
    row = row_of(exchange(stream([500, 520, 540, 560, 580], [" a b c d e f g h"] * 5, end)))
    assert row["tpot_s"] == pytest.approx(0.080 / 16)


def test_an_end_mark_that_is_counted_and_never_sent_is_no_token_of_the_pace() -> None:
    row = row_of(exchange(stream(each_10_ms(50), [" w"] * 50, finish(prompt_tokens=9, completion_tokens=51))))
    assert row["tpot_s"] == pytest.approx(0.010)


def choice(index: int, text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": index, "delta": {"content": text}}]}).encode() + b"\n\n"


@pytest.mark.parametrize("counted", [True, False])
def test_other_choices_come_beside_and_do_not_count(counted: bool) -> None:
    reads: list[Read] = [(at + k, at + k - 0.1, True, choice(k, " w")) for at in each_10_ms(50) for k in (0, 1)]
    ends = b"".join(
        b"data: " + json.dumps({"choices": [{"index": k, "delta": {}, "finish_reason": "length"}]}).encode() + b"\n\n"
        for k in (0, 1)
    )
    end = ends + (usage(prompt_tokens=9, completion_tokens=100) if counted else b"") + DONE
    row = row_of(exchange([*reads, (1000, 999, True, end)]))
    assert row["output_tokens"] == (100 if counted else 50)
    assert row["tpot_s"] == pytest.approx(0.010)


def test_without_usage_the_tokenizer_counts() -> None:
    row = row_of(exchange(stream([500, 540, 590], [" a b", " c d e", " f g h i"])))
    assert row["tpot_s"] == pytest.approx(0.090 / 7)


def test_visible_reasoning_is_output_like_any() -> None:
    reads: list[Read] = [(at, at - 0.1, True, said(reasoning_content=" r")) for at in each_10_ms(20)]
    reads += [(at, at - 0.1, True, said(" w")) for at in each_10_ms(30, 700)]
    counts = {"prompt_tokens": 9, "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 20}}
    row = row_of(exchange([*reads, (1000, 999, True, finish(**counts))]))
    assert row["tpot_s"] == pytest.approx(0.490 / 49)


@pytest.mark.parametrize("apart_ms", [0.0, 0.01])
def test_tokens_at_one_moment_have_no_pace(apart_ms: float) -> None:
    times = [500 + apart_ms * i for i in range(40)]
    row = row_of(exchange(stream(times, [" w"] * 40, finish(prompt_tokens=9, completion_tokens=40))))
    assert row["tpot_s"] is None
    assert row["ttft_s"] == pytest.approx(0.5)  # when it came stays told


def test_events_of_the_first_moment_took_no_time() -> None:
    """Two messages in the first read: its stamp is the second one's, and only what follows took the time."""
    reads: list[Read] = [
        (500, 480, False, said(" a") + said(" b")),
        (510, 509, True, said(" c")),
        (520, 519, True, said(" d")),
    ]
    row = row_of(exchange([*reads, (530, 529, True, finish(prompt_tokens=9, completion_tokens=4))]))
    assert row["tpot_s"] == pytest.approx(0.010)


def test_a_length_told_ahead_leaves_no_times_but_the_end() -> None:
    x = exchange(stream(each_10_ms(5), [" w"] * 5), headers=HEADERS_AHEAD)
    row = row_of(x)
    assert (row["outcome"], row["output_chunks"]) == ("ok", 5)
    assert (row["ttft_s"], row["ttft_error_s"], row["first_content_s"], row["tpot_s"]) == (None,) * 4
    assert row["e2e_s"] == pytest.approx(0.541)  # the end of the body, as for a response that was not streamed
    assert "length_ahead" in notes(row)


def test_events_that_come_at_a_few_times_are_told_unless_this_client_read_late() -> None:
    def reads(width_ms: float) -> list[Read]:
        return [(at, at - width_ms, False, said(" w") * 7) for at in (500, 700, 900)]

    end: Read = (901, 900, True, FINISH + DONE)
    assert "few_times" in notes(row_of(exchange([*reads(0.5), end])))
    assert "few_times" not in notes(row_of(exchange([*reads(190), end])))
    assert "few_times" not in notes(row_of(exchange(stream(each_10_ms(20), [" w"] * 20))))


def serve(messages: list[tuple[float, str]], counts: dict[str, Any]) -> Any:
    """A real server: each text in its own message, after its pause in s."""

    def answer(sock: socket.socket, _: bytes) -> None:
        sock.sendall(HEAD)
        for pause, text in messages:
            time.sleep(pause)
            sock.sendall(chunk(said(text)))
        sock.sendall(chunk(FINISH + usage(**counts) + DONE) + END)

    return peer(answer)


def run_of(url: str, **config: Any) -> bk.Run:
    endpoint = bk.Endpoint(url=url, model="m", auth_scheme="none")
    return bk.run_sync(
        bk.RunConfig(
            endpoint=endpoint,
            **{"scenarios": "D(20,20)", "max_requests": 3, "steady": False, "preflight": False} | config,
        )
    )


def test_a_real_server_with_hidden_reasoning() -> None:
    counts = {"prompt_tokens": 20, "completion_tokens": 420, "completion_tokens_details": {"reasoning_tokens": 400}}
    with serve([(0.05, " the")] + [(0.02, " the")] * 19, counts) as server:
        rows = run_of(server.url).requests
    span = rows["e2e_s"] - rows["ttft_s"]
    assert rows["outcome"].to_list() == ["ok"] * rows.height
    assert (rows["tpot_s"] / (span / 19)).to_list() == pytest.approx([1.0] * rows.height)


def test_emulated_chunks_of_four_tokens_have_the_models_pace() -> None:
    with bk.emulator.serve(ttft_ms=20, itl_ms=10, tokens_per_chunk=4, role_frame=False) as server:
        rows = run_of(server.url, scenarios="D(20,12)").requests.filter(pl.col("phase") == "measured")
    span = rows["e2e_s"] - rows["ttft_s"]
    assert (rows["tpot_s"] / (span / 8)).to_list() == pytest.approx([1.0] * rows.height, rel=0.01)


def test_counting_the_first_message_counts_no_more_than_it() -> None:
    """The whole text is counted once for the account; the pace asks for the first message alone."""
    asked: list[str] = []
    tokenizer = load_tokenizer(None)

    def count(text: str) -> int:
        asked.append(text)
        return tokenizer.count(text)

    x = exchange(stream(each_10_ms(50), [" one two"] * 50, finish(prompt_tokens=9, completion_tokens=100)))
    table = Recorder(KEY, ORIGIN, count)
    table.add(x, parse_response(x.body, x.read_ends, headers=x.headers))
    assert asked == [" one two" * 50, " one two"]

"""Gateways that buffer or delay, as real servers on 127.0.0.1 do it, and the findings about them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import basetenkit as bk

from ..making import number
from ..peer import END, HEAD, chunk, peer
from ..results.test_recorder import DONE, FINISH, said, usage

TEXTS = [" the"] * 20
COUNTS = usage(prompt_tokens=20, completion_tokens=20)


def run_of(answer: Callable[[socket.socket], None], n: int = 4) -> bk.Run:
    with peer(lambda sock, _: answer(sock)) as server:
        endpoint = bk.Endpoint(url=server.url, model="m", auth_scheme="none")
        config = bk.RunConfig(
            endpoint=endpoint,
            scenarios="D(20,20)",
            concurrency=1,
            max_requests=n,
            steady=False,
            preflight=False,
            slo={"tpot_s": 0.001},
        )
        return bk.run_sync(config)


def codes(run: bk.Run) -> set[str]:
    return {f.code for f in run.findings} & {
        "came_at_once",
        "length_ahead",
        "held_back",
        "first_message",
        "not_streamed",
        "output_long",
    }


def test_a_gateway_that_buffers_the_whole_answer() -> None:
    def answer(sock: socket.socket) -> None:
        time.sleep(0.4)
        sock.sendall(HEAD + b"".join(chunk(said(t)) for t in TEXTS) + chunk(FINISH + COUNTS + DONE) + END)

    run = run_of(answer)
    assert codes(run) == {"came_at_once"}
    summary = run.summary_wide.row(0, named=True)
    assert (summary["tpot_s_mean"], summary["output_inference_speed_mean"], summary["ttft_s_mean"]) == (
        None,
        None,
        None,
    )
    assert summary["goodput"] is None  # the pace is unknown
    assert summary["e2e_s_mean"] > 0.4


def test_a_gateway_that_tells_the_length_of_a_stream() -> None:
    def answer(sock: socket.socket) -> None:
        body = b"".join(map(said, TEXTS)) + FINISH + COUNTS + DONE
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body)
        sock.sendall(head + body[:300])
        time.sleep(0.05)
        sock.sendall(body[300:])

    run = run_of(answer)
    assert codes(run) == {"length_ahead"}
    assert run.requests["outcome"].to_list() == ["ok"] * run.requests.height
    assert run.requests.select("ttft_s", "tpot_s").null_count().row(0) == (run.requests.height,) * 2
    assert number(run.requests["e2e_s"].min()) > 0.05


def test_a_gateway_that_holds_events_back() -> None:
    def answer(sock: socket.socket) -> None:
        sock.sendall(HEAD)
        for part in (TEXTS[:10], TEXTS[10:19], TEXTS[19:]):
            time.sleep(0.1)
            sock.sendall(b"".join(chunk(said(t)) for t in part))
        sock.sendall(chunk(FINISH + COUNTS + DONE) + END)

    run = run_of(answer)
    assert "held_back" in codes(run)
    # Ten tokens came after the first moment, in two tenths of a second.
    span = (run.requests["e2e_s"] - run.requests["ttft_s"]) / 10
    assert ((run.requests["tpot_s"] / span - 1).abs() < 0.01).all()


def test_a_stream_as_it_should_be() -> None:
    def answer(sock: socket.socket) -> None:
        sock.sendall(HEAD)
        for text in TEXTS:
            time.sleep(0.01)
            sock.sendall(chunk(said(text)))
        sock.sendall(chunk(FINISH + COUNTS + DONE) + END)

    assert codes(run_of(answer)) == set()


def test_answers_longer_than_the_limit() -> None:
    def answer(sock: socket.socket) -> None:
        sock.sendall(HEAD)
        for _ in range(5):
            time.sleep(0.01)
            sock.sendall(chunk(said(" the" * 10)))
        sock.sendall(chunk(FINISH + usage(prompt_tokens=20, completion_tokens=50) + DONE) + END)

    run = run_of(answer)
    (found,) = [f for f in run.findings if f.code == "output_long"]
    assert "median 50 of 20" in found.sentence
    assert "first_message" in codes(run)

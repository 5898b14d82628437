"""Messages over a pipe: whole, in order, with their frames; one that breaks off is none."""

from __future__ import annotations

import io

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.execution.processes import protocol


def written(*several: list[bytes]) -> bytes:
    stream = io.BytesIO()
    for parts in several:
        protocol.write(stream, parts)
    return stream.getvalue()


def test_messages_come_back_in_order_with_all_their_parts() -> None:
    several = [[b"one"], [b"", b"two", b"x" * 100_000], []]
    assert list(protocol.read_message(io.BytesIO(written(*several)))) == several


@pytest.mark.parametrize("cut", range(1, 36))
def test_a_message_that_breaks_off_anywhere_is_left_out(cut: int) -> None:
    data = written([b"whole"], [b"first", b"second"])
    assert len(written([b"first", b"second"])) == 31
    read = list(protocol.read_message(io.BytesIO(data[:-cut])))
    assert read == ([[b"whole"]] if cut <= 31 else [])


def test_an_order_carries_a_config_with_its_secrets() -> None:
    config = bk.RunConfig(endpoint=bk.Endpoint(url="http://127.0.0.1/?token=t-1", api_key="k-1"), dataset={"a": 1})
    word, content = protocol.read_order(protocol.encode_order("hello", config=config, part=2))
    assert (word, content["part"]) == ("hello", 2)
    assert content["config"].endpoint.key() == "k-1"
    assert content["config"].endpoint.url == "http://127.0.0.1/?token=t-1"


def test_a_word_carries_frames_and_numbers_as_they_are() -> None:
    frame = pl.DataFrame({"a": [1, None], "b": [["x"], []]}, schema={"a": pl.Int64, "b": pl.List(pl.String)})
    say, content, frames = protocol.read_report(
        protocol.encode_report("rows", [frame, frame.clear()], n=np.int64(3), share=None)
    )
    assert (say, content) == ("rows", {"n": 3, "share": None})
    assert frames[0].equals(frame)
    assert frames[1].schema == frame.schema

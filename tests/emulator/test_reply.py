"""A reply's pieces: made when they are asked for, the same however they are asked for."""

from __future__ import annotations

import json

import pytest

from basetenkit.emulator.reply import Piece, Reply, Stream, frame, frames
from basetenkit.emulator.words import WordCounts, vocabulary


def stream(n: int = 5, step: int = 1, form: str = "chat") -> Stream:
    return Stream(form, list(vocabulary()[:n]), [0.1 * i for i in range(1, n + 1)], step)


def test_a_piece_is_made_once_when_it_is_first_asked_for() -> None:
    made = []

    def make() -> bytes:
        made.append(1)
        return b"x"

    piece = Piece(0.5, make)
    assert (piece.at, piece.tokens, made) == (0.5, 0, [])
    assert piece.data == piece.data == b"x"
    assert made == [1]
    assert Piece(0, b"y", 2).data == b"y"


def test_a_stream_is_a_sequence_of_its_opening_its_words_and_its_closing() -> None:
    pieces = stream()
    pieces.opening.append(Piece(0.0, b"opening"))
    pieces.closing.append(Piece(9.0, b"closing"))
    assert len(pieces) == len(list(pieces)) == 7
    assert [p.tokens for p in pieces] == [0, 1, 1, 1, 1, 1, 0]
    assert [p.at for p in pieces] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 9])
    assert pieces[0].data == b"opening"
    assert pieces[-1].data == b"closing"
    assert [p.data for p in pieces[1:3]] == [frame("chat", word) for word in vocabulary()[:2]]
    with pytest.raises(IndexError):
        pieces[7]


def test_words_are_gathered_and_due_with_the_last_of_them() -> None:
    pieces = stream(5, step=2, form="prompt")
    assert [(p.data.decode().split(), p.tokens) for p in pieces] == [
        (["the", "of"], 2),
        (["and", "to"], 2),
        (["in"], 1),
    ]
    assert [p.at for p in pieces] == pytest.approx([0.2, 0.4, 0.5])


def test_a_stream_may_be_cut_and_may_be_empty() -> None:
    pieces = stream(5)
    pieces.cut(2)
    assert (len(pieces), pieces.middle) == (2, 2)
    assert pieces.last_at == pytest.approx(0.2)
    pieces.cut(4)
    assert len(pieces) == 2
    assert (len(stream(0)), stream(0).last_at, list(stream(0))) == (0, 0.0, [])


def test_a_reply_without_a_prompt_has_no_tokens_of_one() -> None:
    assert Reply(404, "application/json", []).prompt_tokens == 0
    assert Reply(200, "application/json", [], prompt=WordCounts("a", "b")).prompt_tokens == 2


@pytest.mark.parametrize("form", ["chat", "completions", "prompt"])
def test_the_ready_frames_are_those_of_each_word(form: str) -> None:
    assert list(frames(form)) == list(vocabulary())
    assert all(frames(form)[word] == frame(form, word) for word in vocabulary())


@pytest.mark.parametrize("text", ['say "hi"', "back\\slash\n", "é😀", "\u2028"])
def test_a_frame_put_together_by_bytes_is_the_json_it_would_have_been(text: str) -> None:
    assert json.loads(frame("chat", text)[6:])["choices"][0]["delta"]["content"] == text
    assert json.loads(frame("completions", text)[6:])["choices"][0]["text"] == text

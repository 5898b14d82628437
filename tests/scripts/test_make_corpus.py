from __future__ import annotations

import struct
import zlib

import pytest

from scripts.make_corpus import novels, sentences, wanted

NOVEL = (
    "CHAPTER I\n\n\u201cThe old man,\u201d said Mrs. Lee, \u201cwho lived\nthere,--do you know him?\u201d  He said: Don\u2019t\n"
    "go _out_ today.\n\nThey stayed at home."
)


def packed(*texts: str) -> bytes:
    """The lines of each text as R writes a vector of strings into a file of records."""
    file = b""
    for text in texts:
        lines = [line.encode() for line in text.split("\n")]
        head = b"X\n" + struct.pack(">IIII", 3, 0x40201, 0x30500, 5) + b"UTF-8" + struct.pack(">II", 16, len(lines))
        content = head + b"".join(struct.pack(">II", 0x40009, len(line)) + line for line in lines)
        file += struct.pack(">I", len(content)) + zlib.compress(content)
    return file


def test_each_novel_is_unpacked() -> None:
    assert list(novels(packed("one\n\ntw\u00f6", NOVEL))) == ["one\n\ntw\u00f6", NOVEL]


def test_signs_of_print_are_dropped_and_titles_end_no_sentence() -> None:
    assert list(sentences(NOVEL)) == [
        "CHAPTER I",
        "The old man, said Mrs Lee, who lived there, do you know him?",
        "He said: Don't go out today.",
        "They stayed at home.",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "Too short.",
        "The old man ate 3 loaves and went out to the field.",
        "Then Anne and Mary and Charles and Henrietta were there with Louisa.",
        "The old man was killed, or so they said, and the devil took him.",
        "The old man who was there spoke of a murder in the field.",
        "and the old man said to them that they should go out.",
        "Such a disappointment! and with the knowledge of your opinion too.",
    ],
)
def test_what_is_no_ordinary_sentence_is_left_out(sentence: str) -> None:
    assert not wanted(sentence)


def test_an_ordinary_sentence_is_wanted() -> None:
    assert wanted("The old man said to Mrs Lee that they should not go out today.")

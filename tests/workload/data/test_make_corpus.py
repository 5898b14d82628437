from __future__ import annotations

import struct
import zlib
from pathlib import Path

from basetenkit.workload.data.make_corpus import books, sentences, wanted

BOOK = (
    '<div osisID="Xyz"/><title level="1">A Title Here</title> <chapter n="1"/><w lemma="strong:G1">The</w> old man,'
    '<note placement="foot"><reference>1:1 </reference>or a note.</note><w lemma="strong:G2">who</w> lived there, '
    "said to them, \u201cDon\u2019t go out today.\u201d They stayed at home with their children &amp; waited."
)


def test_markup_notes_and_titles_are_dropped() -> None:
    assert list(sentences(BOOK)) == [
        "The old man, who lived there, said to them, Don't go out today.",
        "They stayed at home with their children & waited.",
    ]


def test_each_book_is_unpacked_and_an_empty_record_passed_over(tmp_path: Path) -> None:
    for part, text in (("ot", "first"), ("nt", "second")):
        packed = zlib.compress(text.encode())
        (tmp_path / f"{part}.bzz").write_bytes(b"--" + packed)
        index = struct.pack("<III", 0, 0, 0) + struct.pack("<III", 2, len(packed), len(text))
        (tmp_path / f"{part}.bzs").write_bytes(index)
    assert list(books(tmp_path)) == ["first", "second"]


def test_only_ordinary_sentences_are_wanted() -> None:
    assert wanted("The old man said to them that they should not go out today.")
    assert not wanted("Too short a line.")
    assert not wanted("The old man ate 3 loaves and went out to the field.")
    assert not wanted("Adam and Seth and Enosh and Kenan were there with Jared.")
    assert not wanted("The old man took his sword and went out to the field.")
    assert not wanted("and the old man said to them that they should go out.")

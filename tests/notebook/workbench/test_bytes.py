from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.core.types import Failure, Outcome
from basetenkit.notebook.workbench.bytes import decoded, from_hex, from_text, segments, spliced, to_hex, to_text, until


@given(st.one_of(st.binary(max_size=80), st.text(max_size=40).map(lambda t: t.encode("utf-8", "replace"))))
def test_both_ways_of_writing_bytes_down_can_be_undone(data: bytes) -> None:
    assert from_text(to_text(data)) == data
    assert from_hex(to_hex(data, 5)) == data


def test_what_leaves_no_mark_stands_as_its_digits() -> None:
    assert to_text("a\r\n\x1b[0m\u202eb⟪é\t".encode() + b"\xff") == "a⟪0D⟫\n⟪1B⟫[0m⟪E2⟫⟪80⟫⟪AE⟫b⟪E2⟫⟪9F⟫⟪AA⟫é\t⟪FF⟫"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("00\n0g", "hex, line 2: 'g' is not a hex digit"), ("0 1 2", "hex, line 1: 3 digits do not make whole bytes")],
)
def test_hex_that_is_none_is_told_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        from_hex(text)


def test_an_edit_moves_the_reads_that_ended_after_it_and_keeps_their_times() -> None:
    case = bk.ParserCase.from_parts([(0.1, b"abc"), (0.2, b"def"), (0.3, b"ghi")])
    longer = spliced(case, 0, b"abcdXXefghi", 9)
    assert (longer.body, longer.read_ends, longer.times) == (b"abcdXXefghi", (3, 8, 11), (0.1, 0.2, 0.3))
    shorter = spliced(case, 2, b"i", 9)
    assert (shorter.body, shorter.read_ends) == (b"abi", (2, 2, 3))
    assert list(shorter.read_ends) == sorted(shorter.read_ends)


@given(st.binary(max_size=30), st.lists(st.integers(0, 30), max_size=6), st.binary(max_size=30))
def test_whatever_an_edit_is_the_reads_stay_in_order_and_within_the_body(
    body: bytes, cuts: list[int], new: bytes
) -> None:
    ends = tuple(sorted(min(cut, len(body)) for cut in cuts))
    edited = spliced(bk.ParserCase(body, ends), 0, new, len(body))
    assert edited.body == new
    assert list(edited.read_ends) == sorted(edited.read_ends)
    assert all(0 <= end <= len(new) for end in edited.read_ends)


def test_a_step_holds_only_what_had_come_and_no_failure_before_the_last() -> None:
    failure = Failure(Outcome.TIMEOUT, "too late")
    case = bk.ParserCase(b"abcdef", (2, 4, 6), (0.1, 0.2, 0.3), failure=failure)
    assert until(case, 2) == bk.ParserCase(b"abcd", (2, 4), (0.1, 0.2))
    assert until(case, 0).body == b""
    assert until(case, 3) is case


def test_an_encoded_body_is_shown_as_what_it_decodes_to() -> None:
    packed = gzip.compress(b'{"text": "hi"}')
    case = decoded(bk.ParserCase(packed, (10, len(packed)), (0.1, 0.2), headers=(("Content-Encoding", "gzip"),)))
    assert (case.body, case.read_ends[-1], case.headers) == (b'{"text": "hi"}', 14, ())
    assert case.parse().text == "hi"
    assert decoded(case) is case


def test_segments_are_the_page_whole_and_cut_where_its_meaning_changes() -> None:
    body = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n: hello\n\ndata: [DONE]\n\ndata: x'
    case = bk.ParserCase(body, (10, len(body)))
    found = segments(case, (0, len(body)), 10, as_hex=False)
    assert "".join(s.text for s in found).encode() == body
    assert [(s.start, s.style) for s in found][:2] == [(0, "even content read"), (10, "even content read late")]
    assert found[-1].style == "even silent cut late"
    page = segments(case, (5, 40), len(body), as_hex=True)
    assert from_hex("".join(s.text for s in page)) == body[5:40]


def test_a_character_that_two_reads_brought_is_shown_as_its_bytes() -> None:
    found = segments(bk.ParserCase("é".encode(), (1, 2)), (0, 2), 2, as_hex=False)
    assert [s.text for s in found] == ["⟪C3⟫", "⟪A9⟫"]

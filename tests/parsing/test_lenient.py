"""JSON that is not quite JSON, and text that is not quite Unicode."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basetenkit.parsing.lenient import (
    bad_bytes,
    clean,
    document_ends,
    has_duplicate_keys,
    is_cut_off,
    load_json,
    mend_surrogates,
)


def test_strict_json_has_no_reasons() -> None:
    assert load_json(b'{"a": [1, "x", null]}') == ({"a": [1, "x", None]}, [])


def test_each_forgiveness_says_why() -> None:
    value, why = load_json(b'{"a": NaN}')
    assert isinstance(value, dict)
    assert math.isnan(value["a"])
    assert why == ["NaN in it"]
    assert load_json(b'"a\xffb"') == ("a\ufffdb", ["bytes that are not UTF-8"])
    assert load_json(b'"a\nb"')[0] == "a\nb"
    assert load_json(b'"\\ud83d"')[0] == "\ud83d"


@pytest.mark.parametrize("data", [b"", b"{", b"words", b"{'a': 1}", b'{"a": 1} x', b"[" * 200_000, b"9" * 10_000])
def test_no_json_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        load_json(data)


def test_duplicate_keys_are_seen_at_any_depth() -> None:
    assert has_duplicate_keys(b'{"a": [{"b": 1, "b": 2}]}')
    assert not has_duplicate_keys(b'{"a": {"b": 1}, "b": 2}')
    assert not has_duplicate_keys(b"no json")


def test_documents_are_found_by_brackets_outside_strings() -> None:
    assert list(document_ends(b'{"a":"}\\"{"}[1]{')) == [(0, 12, True), (12, 15, True), (15, 16, False)]


@pytest.mark.parametrize("data", [b'{"a": 1', b'{"a": "x', b'{"a": "x\\', b'["x"', b'"abc', b'"', b'"a\\"', b"{"])
def test_what_is_cut_off(data: bytes) -> None:
    assert is_cut_off(data)


@pytest.mark.parametrize("data", [b'{"a": 1}', b'"abc"', b"words", b"", b"42", b'{"a": }'])
def test_what_is_not_cut_off(data: bytes) -> None:
    assert not is_cut_off(data)


def test_bad_bytes_are_counted() -> None:
    assert bad_bytes("é🙂".encode()) == 0
    assert bad_bytes(b"a\xff\xfeb\xc3") == 3


def test_halves_of_a_character_meet_again() -> None:
    texts = ["a\ud83d", "\ude42b", "c"]
    assert mend_surrogates(texts) == 0
    assert texts == ["a", "🙂b", "c"]
    lone = ["a\ud83d", "b", "\ude42", "c\ud83d"]
    assert mend_surrogates(lone) == 3
    assert lone == ["a", "\ufffdb", "\ufffd", "c\ufffd"]
    assert clean("a\ud83d") == "a\ufffd"


@given(st.lists(st.text(st.sampled_from("aé🙂\ud83d\ude42\udbff"), max_size=4), max_size=6))
def test_mended_texts_can_be_written(texts: list[str]) -> None:
    joined = "".join(texts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    count = len(texts)
    mend_surrogates(texts)
    assert "".join(texts).encode().decode() == joined
    assert len(texts) == count

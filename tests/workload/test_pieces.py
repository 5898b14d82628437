"""Pieces count what the library counts, of whatever text; what they cannot be sure of they leave to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Inner

from basetenkit.workload import pieces as module
from basetenkit.workload.pieces import in_ascii
from basetenkit.workload.tokenizer import Tokenizer, load_tokenizer

from ..examples import examples

LLAMA = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA.replace("{1,3}", "")
NO_SPACE = r"\p{L}+|\p{N}+|[^\s\p{L}\p{N}]+"  # spaces lie between its matches
TEXT = Path(module.__file__).read_text("utf8")
BITS = [
    "'s",
    "'LL",
    " the",
    "\n",
    "\r\n",
    "  ",
    "\t",
    "\x0b",
    " 123",
    "12345",
    "<think>",
    "<|end|>",
    "def ",
    "é",
    "\x1c",
    "_",
]
TEXTS = st.lists(st.sampled_from(BITS) | st.text(st.characters(max_codepoint=127), max_size=5), max_size=30).map(
    "".join
)


def trained(pattern: str, **changes: Any) -> Inner:
    """A BPE tokenizer of this pattern, trained here; it has a special token and one that is not."""
    inner = Inner(models.BPE())
    inner.pre_tokenizer = changes.pop("pre_tokenizer", None) or pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), changes.pop("behavior", "isolated")),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=changes.pop("use_regex", False)),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=900, initial_alphabet=alphabet))
    inner.add_special_tokens(["<|end|>"])
    inner.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    for name, value in changes.items():
        setattr(inner, name, value)
    return inner


def saved(inner: Inner, folder: Path) -> Tokenizer:
    inner.save(str(folder / "tokenizer.json"))
    return load_tokenizer(str(folder))


@pytest.fixture(
    scope="module", params=["embedded", LLAMA, QWEN, NO_SPACE], ids=["embedded", "llama", "qwen", "no space"]
)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    if request.param == "embedded":
        return load_tokenizer(None)
    return saved(trained(request.param), tmp_path_factory.mktemp("t"))


@settings(max_examples=examples(400), deadline=None)
@given(text=TEXTS)
def test_a_text_has_what_the_library_counts_the_first_time_and_again(tokenizer: Tokenizer, text: str) -> None:
    expected = len(tokenizer.encode(text))
    assert [tokenizer.count(text) for _ in range(3)] == [expected] * 3


def test_pieces_seen_before_are_not_counted_again() -> None:
    asked: list[str] = []
    counted = load_tokenizer(None)

    def count(texts: Any) -> list[int]:
        asked.extend(texts)
        return counted.counts(texts)

    made = module.pieces_of(load_tokenizer(None)._backend._inner, count)  # type: ignore[attr-defined]
    assert made is not None
    text = "the river runs, and the 12 stones stay"
    assert made.length(text) == counted.count(text)
    assert sorted(asked) == sorted([" river", " runs", ",", " and", " the", " ", "12", " stones", " stay", "the"])
    asked.clear()
    assert made.length("the stones stay, and the 12 river runs") == counted.count(text)
    assert made.length("") == 0
    assert asked == []
    made.length(" the" * 3 + "é")
    made.length("x" * 65)
    made.length("x" * 65)
    assert asked == [" the the theé", "x" * 65, "x" * 65]


def test_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PIECES", 50)
    counted = load_tokenizer(None)
    made = module.pieces_of(counted._backend._inner, counted.counts)  # type: ignore[attr-defined]
    assert made is not None
    for i in range(200):
        assert made.length(f"number {i} of {i * i}") == len(counted.encode(f"number {i} of {i * i}"))
        assert len(made._known) <= 50


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": normalizers.Lowercase()},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
        {"pre_tokenizer": pre_tokenizers.Metaspace()},
        {"behavior": "removed"},
        {"use_regex": True},
        {"model": models.WordLevel({"a": 0, "?": 1}, unk_token="?")},
        {"model": models.BPE(vocab={"a": 0, "b": 1}, merges=[], dropout=0.5)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_tokenizers_are_left_to_the_library(changes: dict[str, Any]) -> None:
    inner = trained(LLAMA, **changes)
    inner.encode_special_tokens = True
    assert module.pieces_of(inner, lambda texts: [0 for _ in texts]) is None


def test_a_tokenizer_that_takes_special_tokens_out_of_a_text_is_left_to_the_library() -> None:
    assert module.pieces_of(trained(LLAMA), lambda texts: [0 for _ in texts]) is None


@pytest.mark.parametrize(
    "pattern",
    r"\p{Lu}+ \P{L} a++ a{2}+ [a&&b] [[:alpha:]] \h+ (a) ^a a$ (?<=a)b \X ( (?m:.)".split(),  # noqa: SIM905
)
def test_a_pattern_that_may_mean_something_else_is_not_translated(pattern: str) -> None:
    assert in_ascii(pattern) is None


def test_a_pattern_that_means_the_same_is_translated() -> None:
    assert in_ascii(r" ?\p{L}+|[^\s\p{L}\p{N}]+|\p{N}{1,3}") == re.compile(
        r" ?[A-Za-z]+|[^\sA-Za-z0-9]+|[0-9]{1,3}", re.ASCII
    )

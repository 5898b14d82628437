from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Inner

from basetenkit.core.errors import TokenizerError
from basetenkit.workload import tokenizer as module
from basetenkit.workload.tokenizer import Tokenizer, load_tokenizer

EMBEDDED_FILE = Path(module.__file__).parent / "data" / "tokenizer.json"


@pytest.mark.parametrize("name", [None, "embedded"])
def test_the_embedded_one_is_there_by_both_names(name: str | None) -> None:
    tokenizer = load_tokenizer(name)
    assert tokenizer.name == "embedded"
    assert tokenizer.is_embedded
    assert tokenizer is load_tokenizer(None)


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_and_its_count_is_its_ids(text: str) -> None:
    tokenizer = load_tokenizer(None)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert tokenizer.count(text) == len(ids)


def test_many_counts_are_the_single_ones() -> None:
    tokenizer, texts = load_tokenizer(None), ["", "one", "two words", "Zwei Wörter, 3 emoji 🎉🎉🎉"]
    assert tokenizer.counts(texts) == [tokenizer.count(text) for text in texts]
    assert tokenizer.counts([]) == []


def test_half_an_emoji_is_counted_as_a_replacement_character() -> None:
    tokenizer = load_tokenizer(None)
    assert tokenizer.count("a \ud83d b") == tokenizer.count("a � b")
    assert tokenizer.encode("\ud83c\udf89") == tokenizer.encode("🎉")


def test_text_that_looks_like_a_special_token_is_counted_as_text() -> None:
    tokenizer = load_tokenizer(None)
    assert tokenizer.count("<|endoftext|>") > 1
    assert tokenizer.decode(tokenizer.encode("a<|endoftext|>b")) == "a<|endoftext|>b"


def test_a_file_and_a_folder_count_as_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(EMBEDDED_FILE.read_bytes())
    text = "The house stands where two roads meet."
    for name in (str(tmp_path), str(tmp_path / "tokenizer.json")):
        tokenizer = load_tokenizer(name)
        assert tokenizer.encode(text) == Inner.from_file(str(EMBEDDED_FILE)).encode(text).ids
        assert tokenizer.name == name
        assert not tokenizer.is_embedded


def test_truncation_padding_and_added_tokens_of_a_file_do_not_count(tmp_path: Path) -> None:
    inner = Inner.from_file(str(EMBEDDED_FILE))
    inner.enable_truncation(8)
    inner.enable_padding(length=32)
    inner.save(str(tmp_path / "tokenizer.json"))
    words = "house " * 40
    assert load_tokenizer(str(tmp_path)).count(words) == load_tokenizer(None).count(words) > 40
    assert load_tokenizer(str(tmp_path)).count("house") == load_tokenizer(None).count("house") < 8


def test_where_the_configuration_disagrees_the_tokenizer_json_is_right(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(EMBEDDED_FILE.read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    text = "Unusual CAPITALS, and 12345 digits."
    assert load_tokenizer(str(tmp_path)).encode(text) == load_tokenizer(None).encode(text)


def test_a_folder_without_tokenizer_json_goes_through_transformers(tmp_path: Path) -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "house", "##s"]
    pieces += [mark + letter for letter in "abcdefghijklmnopqrtuvwxyz" for mark in ("", "##")]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer.encode("the houses") == [5, 6, 7]
    assert tokenizer.count("the houses") == 3


WITHOUT_VOCABULARY = {
    "Qwen2Tokenizer": {},
    "LlamaTokenizer": {"model_type": "llama"},
    "BertTokenizer": {},
    "T5Tokenizer": {},
    "GemmaTokenizer": {},
    "XLMRobertaTokenizer": {},
}


@pytest.mark.parametrize("kind", WITHOUT_VOCABULARY)
def test_a_folder_whose_vocabulary_is_missing_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    if config := WITHOUT_VOCABULARY[kind]:
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        TokenizerError, match=r"it has no vocabulary that could count a text|transformers cannot load it"
    ):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_json_without_a_vocabulary_is_refused(tmp_path: Path) -> None:
    from tokenizers.models import BPE, WordLevel

    for model in (BPE(), WordLevel({"[UNK]": 0}, unk_token="[UNK]")):
        Inner(model).save(str(tmp_path / "tokenizer.json"))
        with pytest.raises(TokenizerError, match="it has no vocabulary"):
            load_tokenizer(str(tmp_path / "tokenizer.json"))


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.json", "tokenizer.model"])
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Qwen2Tokenizer"}))
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 11\n")
    with pytest.raises(TokenizerError, match=r"it is a Git LFS pointer .*git lfs pull"):
        load_tokenizer(str(tmp_path))


def test_a_download_that_broke_off_is_refused(tmp_path: Path) -> None:
    data = EMBEDDED_FILE.read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(data[: len(data) // 2])
    with pytest.raises(TokenizerError, match=r"the tokenizers library cannot read this tokenizer"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("kind", ["lower-cased", "words", "bytes", "without a decoder"])
def test_a_tokenizer_of_another_kind_is_taken(tmp_path: Path, kind: str) -> None:
    from tokenizers import normalizers, pre_tokenizers
    from tokenizers.models import BPE, WordLevel

    inner = Inner.from_file(str(EMBEDDED_FILE))
    if kind == "lower-cased":
        inner.normalizer = normalizers.Lowercase()
    elif kind == "words":
        words = ["the", "water", "of", "river", "is", "cold", "today", "[UNK]"]
        inner = Inner(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
        inner.pre_tokenizer = pre_tokenizers.Whitespace()
    elif kind == "bytes":
        inner = Inner(BPE({letter: i for i, letter in enumerate(pre_tokenizers.ByteLevel.alphabet())}, []))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel()
    else:
        inner.decoder = None
    inner.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(str(tmp_path)).count("the river is cold") >= 4


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/" + "y" * 5000])
def test_a_name_that_no_file_can_have_is_one_sentence(name: str) -> None:
    with pytest.raises(TokenizerError, match="there is no such file or folder") as caught:
        load_tokenizer(name)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["./nowhere", "nowhere/tokenizer.json", "a/b/c", "/nowhere", ""])
def test_a_path_to_nothing_is_told_what_would_be_right(name: str) -> None:
    with pytest.raises(TokenizerError, match=r"there is no such file or folder.*'embedded'"):
        load_tokenizer(name)


def test_a_file_that_is_no_tokenizer_says_so(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json': the tokenizers library cannot read"):
        load_tokenizer(str(path))


def test_a_folder_of_something_else_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(TokenizerError, match=r"it has no tokenizer\.json, and transformers cannot load it"):
        load_tokenizer(str(tmp_path))


def test_a_hub_id_without_a_network_is_one_clear_sentence() -> None:
    with pytest.raises(TokenizerError) as caught:
        load_tokenizer("nobody-has-this/tokenizer-here")
    assert str(caught.value) == (
        "tokenizer 'nobody-has-this/tokenizer-here': it is not a local file or folder, and the hub does not provide it "
        "(there is no network, and it is not in the local cache); give a folder with its tokenizer.json, or 'embedded'"
    )


def test_a_tokenizer_that_was_fetched_before_needs_no_network(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--some--one" / "snapshots" / "0123456789abcdef"
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").write_bytes(EMBEDDED_FILE.read_bytes())
    refs = tmp_path / "models--some--one" / "refs"
    refs.mkdir()
    (refs / "main").write_text(snapshot.name)
    code = "from basetenkit.workload.tokenizer import load_tokenizer as l; print(l('some/one').count('the house'))"
    env = {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(load_tokenizer(None).count("the house")), done.stderr


def test_the_embedded_one_needs_neither_transformers_nor_the_hub() -> None:
    code = (
        "import sys; from basetenkit.workload.tokenizer import load_tokenizer; load_tokenizer(None).count('a');"
        "print(sorted({'transformers', 'huggingface_hub', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_its_name_shows() -> None:
    assert repr(load_tokenizer(None)) == "Tokenizer('embedded')"
    assert isinstance(load_tokenizer(None), Tokenizer)

from __future__ import annotations

import re
from functools import cache
from random import Random
from typing import Any

import orjson
import pytest
from tokenizers import Tokenizer as Inner
from tokenizers import models, normalizers, pre_tokenizers, trainers

from basetenkit.config.run_config import RunConfig
from basetenkit.config.scenarios import parse_scenario
from basetenkit.core.errors import ScenarioError
from basetenkit.workload import corpus
from basetenkit.workload.sampler import Sampler
from basetenkit.workload.tokenizer import Tokenizer, load_tokenizer
from basetenkit.workload.writer import OPENING_WORDS

PIECES = 3000


@cache
def trained(family: str, folder: str) -> Tokenizer:
    """A small tokenizer of a family, trained on the corpus and loaded as a user would load it."""
    common: dict[str, Any] = {"vocab_size": PIECES, "show_progress": False}
    inner: Any
    trainer: Any
    if family == "bpe":
        inner = Inner(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), **common)
    elif family == "unigram":
        inner = Inner(models.Unigram())
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(special_tokens=["<unk>"], unk_token="<unk>", **common)
    elif family == "wordpiece":
        inner = Inner(models.WordPiece(unk_token="[UNK]"))
        inner.normalizer, inner.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(special_tokens=["[UNK]"], **common)
    elif family == "whole":  # pieces that reach over words, as where a tokenizer does not split at spaces
        inner = Inner(models.BPE(unk_token="<unk>"))
        inner.normalizer = normalizers.Replace(" ", "_")
        trainer = trainers.BpeTrainer(special_tokens=["<unk>"], max_token_length=12, **common)
    else:  # every byte a token
        inner = Inner(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), vocab_size=256)
    lines = corpus.lines()[::7]
    inner.train_from_iterator([" ".join(lines[i : i + 2]) for i in range(0, len(lines), 2)], trainer)
    path = f"{folder}/{family}.json"
    inner.save(path)
    return load_tokenizer(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("tokenizers"))


def config(**fields: Any) -> RunConfig:
    return RunConfig(endpoint={"url": "http://127.0.0.1:1/", "model": "m"}, **fields)


def sampler(text: str = "D(100,20)", tokenizer: Tokenizer | None = None, **fields: Any) -> Sampler:
    salt, stream = fields.pop("salt", "s"), fields.pop("stream", "concurrency:1:0")
    tokenizer = tokenizer or load_tokenizer(None)
    return Sampler(config(**fields), parse_scenario(text), tokenizer, salt=salt, stream=stream)


def mixed_lengths(n: int) -> list[int]:
    rng = Random(n)
    short, middle, long = range(1, 40), range(40, 300), range(300, 2001)
    return [rng.choice(rng.choices((short, middle, long), (6, 3, 1))[0]) for _ in range(n - 2)] + [1, 2000]


@pytest.mark.parametrize(
    "family",
    ["bpe", "unigram", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("wordpiece", "whole"))],
)
def test_a_thousand_prompts_have_exactly_the_tokens_asked_for(family: str, folder: str) -> None:
    tokenizer = trained(family, folder)
    source = sampler(tokenizer=tokenizer)
    inner = Inner.from_file(f"{folder}/{family}.json")
    prompts = [(tokens, *source.prompt(tokens)) for tokens in mixed_lengths(1000)]
    found = [len(e.ids) for e in inner.encode_batch([p for _, p, _ in prompts], add_special_tokens=False)]
    assert found == [tokens for tokens, _, _ in prompts]
    assert [said for _, _, said in prompts] == found
    assert len({" ".join(p.split()[:6]) for tokens, p, _ in prompts if tokens > 20}) == sum(
        n > 20 for n, _, _ in prompts
    )


def test_the_embedded_tokenizer_is_reached_exactly_too() -> None:
    source = sampler("U(1,1200)/(1,9)")
    for i in range(300):
        request = source.request(str(i))
        assert request.prompt is not None
        assert len(load_tokenizer(None).encode(request.prompt)) == request.input_tokens_target
        assert request.input_tokens_client == request.input_tokens_target


def test_where_a_count_cannot_be_reached_the_nearest_is_told(folder: str) -> None:
    # No word has fewer than three letters, so under a tokenizer of single bytes nothing has one or two tokens.
    tokenizer = trained("bytes", folder)
    source = sampler(tokenizer=tokenizer)
    for tokens in (1, 2):
        text, said = source.prompt(tokens)
        assert said == tokenizer.count(text) == 3
    for tokens in range(8, 300):
        text, said = source.prompt(tokens)
        assert said == tokens == tokenizer.count(text)


def test_the_same_seed_salt_and_stream_give_the_same_bytes() -> None:
    first, second = sampler("N(60,30)/(9,3)", seed=3), sampler("N(60,30)/(9,3)", seed=3)
    assert [first.request(str(i)) for i in range(30)] == [second.request(str(i)) for i in range(30)]


@pytest.mark.parametrize("other", [{"salt": "t"}, {"stream": "concurrency:8:0"}, {"seed": 4}])
def test_another_salt_stream_or_seed_shares_no_beginning(other: dict[str, Any]) -> None:
    def beginnings(source: Sampler) -> set[str]:
        return {" ".join((source.request(str(i)).prompt or "").split()[:3]) for i in range(300)}

    assert not beginnings(sampler("D(40,9)")) & beginnings(sampler("D(40,9)", **other))


def test_another_salt_asks_for_the_same_lengths() -> None:
    def lengths(salt: str) -> list[tuple[int | None, int | None]]:
        requests = [source.request(str(i)) for source in [sampler("N(50,20)/(9,3)", salt=salt)] for i in range(30)]
        return [(r.input_tokens_target, r.output_tokens_target) for r in requests]

    assert lengths("s") == lengths("t")
    assert len(set(lengths("s"))) > 20


def test_a_thousand_long_prompts_begin_apart_and_share_no_order_of_lines() -> None:
    source = sampler()
    texts = [source.prompt(2000)[0] for _ in range(1000)]
    assert len({" ".join(text.split()[:3]) for text in texts}) == 1000
    known = {line: i for i, line in enumerate(corpus.lines())}
    runs: set[tuple[int, ...]] = set()
    total = 0
    for text in texts[:200]:
        sentences = text.replace(". ", ".\n").replace("? ", "?\n").replace("! ", "!\n").split("\n")[1:]
        ids = [known.get(sentence, -1) for sentence in sentences]
        triples = {triple for triple in zip(ids, ids[1:], ids[2:], strict=False) if -1 not in triple}
        total += len(triples)
        runs |= triples
    assert total > 10_000
    assert len(runs) == total


def test_even_the_shortest_prompts_hardly_repeat() -> None:
    source = sampler("D(2,1)")
    assert len({source.request(str(i)).prompt for i in range(1000)}) == 1000


def test_a_request_is_whole() -> None:
    request = sampler("D(30,20)").request("r-1", "warmup")
    body = orjson.loads(request.body)
    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": request.prompt}],
        "max_tokens": 20,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert (request.request_id, request.phase, request.scenario) == ("r-1", "warmup", "D(30,20)")
    assert (request.input_tokens_target, request.output_tokens_target, request.input_tokens_client) == (30, 20, 30)


def test_the_phase_is_measured_unless_told() -> None:
    assert sampler().request("r").phase == "measured"


def test_the_output_target_is_what_the_payload_asks_for() -> None:
    assert sampler("D(30,20)", request_params={"max_tokens": 7}).request("r").output_tokens_target == 7
    assert sampler("D(30,20)", request_params={"max_tokens": None}).request("r").output_tokens_target is None


def test_messages_of_the_user_have_no_count_of_ours() -> None:
    mine = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    request = sampler("D(30,20)", request_params={"messages": mine}).request("r")
    assert orjson.loads(request.body)["messages"] == mine
    assert (request.prompt, request.input_tokens_target, request.input_tokens_client) == (None, None, None)


@pytest.mark.parametrize("text", ["R(64,10)", "A(40)"])
def test_a_scenario_without_a_sampler_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError, match="is not supported in runs yet"):
        sampler(text)


def test_a_thousand_long_prompts_share_no_order_of_lines() -> None:
    """No three sentences in a row are in two of them: no cache of prefixes or blocks can know one from another."""
    source = sampler("D(2000,1)")
    seen: dict[tuple[str, ...], int] = {}
    for i in range(1000):
        text, count = source.prompt(2000)
        assert count == 2000
        lines = re.split(r"(?<=[.!?]) ", text)
        assert len(lines) > 20
        for k in range(len(lines) - 2):
            assert seen.setdefault(tuple(lines[k : k + 3]), i) == i


@pytest.mark.parametrize("tokens", [2, 40])
def test_senders_that_share_a_level_draw_its_shapes_and_no_prompt_twice(tokens: int) -> None:
    scenario, tokenizer = parse_scenario(f"U({tokens},{2 * tokens})/(1,900)"), load_tokenizer("embedded")
    config = RunConfig(endpoint={"url": "http://127.0.0.1/"}, scenarios=str(scenario))

    def drawn(part: int, parts: int, n: int) -> list[Any]:
        sampler = Sampler(config, scenario, tokenizer, salt="s", stream="x", share=(part, parts))
        return [sampler.request(f"r-{i}") for i in range(n)]

    alone, shared = drawn(0, 1, 90), [drawn(part, 3, 30) for part in range(3)]
    together = [request for turn in zip(*shared, strict=True) for request in turn]
    shapes = [[(r.input_tokens_target, r.output_tokens_target) for r in requests] for requests in (alone, together)]
    assert shapes[0] == shapes[1]
    assert all(r.input_tokens_client == r.input_tokens_target for r in together)
    openings = [{tuple(r.prompt.split()[:OPENING_WORDS]) for r in requests} for requests in shared]
    if tokens > OPENING_WORDS:
        assert len(set.union(*openings)) == 90
    assert [r.body for r in drawn(1, 3, 30)] == [r.body for r in shared[1]]


def test_a_sender_makes_what_another_was_to_ask_for_and_goes_on_with_its_own() -> None:
    scenario, tokenizer = parse_scenario("U(20,40)/(1,900)"), load_tokenizer("embedded")
    config = RunConfig(endpoint={"url": "http://127.0.0.1/"}, scenarios=str(scenario))
    alone, sender = (
        Sampler(config, scenario, tokenizer, salt="s", stream="x", share=share) for share in [(0, 1), (1, 3)]
    )
    shapes = [(r.input_tokens_target, r.output_tokens_target) for r in (alone.request("") for _ in range(12))]
    made = [sender.request(""), sender.drawn(0), sender.drawn(8), sender.request(""), sender.drawn(11)]
    assert all(r is not None and r.input_tokens_client == r.input_tokens_target for r in made)
    asked = [(r.input_tokens_target, r.output_tokens_target) for r in made if r is not None]
    assert asked == [shapes[n] for n in (1, 0, 8, 4, 11)]
    assert len({r.prompt for r in made if r is not None}) == 5


@pytest.mark.parametrize("family", ["bpe", "unigram", "wordpiece", "embedded"])
@pytest.mark.parametrize(("prefix", "own"), [(500, 30), (1, 2), (0, 12), (37, 1)])
def test_a_shared_prefix_is_exactly_as_long_as_asked_for_and_shared(
    family: str, prefix: int, own: int, folder: str
) -> None:
    tokenizer = load_tokenizer(None) if family == "embedded" else trained(family, folder)
    scenario = parse_scenario(f"P({prefix},{own})/5")
    config = RunConfig(endpoint={"url": "http://127.0.0.1/"}, scenarios=str(scenario))
    senders = [Sampler(config, scenario, tokenizer, salt="s", stream="x", share=(i, 2)) for i in range(2)]
    requests = [sender.request(f"r-{i}") for sender in senders for i in range(30)]
    assert {r.input_tokens_client for r in requests} == {r.input_tokens_target for r in requests} == {prefix + own}
    prompts = [r.prompt or "" for r in requests]
    ids = [tokenizer.encode(text) for text in prompts]
    assert {tokenizer.count(text) for text in prompts} == {prefix + own}
    assert len({tuple(each[:prefix]) for each in ids}) == 1
    # Short texts of one token can repeat; longer ones differ, at once after the prefix.
    if own > 1:
        assert len(set(prompts)) == 60
        assert len({tuple(each[prefix : prefix + 2]) for each in ids}) > 30


def test_a_prefix_is_another_for_another_salt_level_or_seed() -> None:
    def opening(**other: Any) -> str:
        return " ".join((sampler("P(200,20)/5", **other).request("r").prompt or "").split()[:20])

    openings = [opening(), opening(salt="t"), opening(stream="concurrency:8:0"), opening(seed=4)]
    assert len(set(openings)) == 4
    assert opening() == openings[0]


def test_a_mixture_asks_for_what_each_of_its_forms_does() -> None:
    source = sampler("0.5*D(20,3)+0.3*P(100,10)/7+0.2*P(50,10)/9")
    requests = [source.request(str(i)) for i in range(120)]
    seen = {(r.input_tokens_client, r.input_tokens_target, r.output_tokens_target) for r in requests}
    assert seen == {(20, 20, 3), (110, 110, 7), (60, 60, 9)}
    assert {r.scenario for r in requests} == {"0.5*D(20,3)+0.3*P(100,10)/7+0.2*P(50,10)/9"}
    for tokens in (110, 60):
        beginnings = {" ".join((r.prompt or "").split()[:30]) for r in requests if r.input_tokens_client == tokens}
        assert len(beginnings) == 1

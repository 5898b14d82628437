"""What a server receives where a data set is given: RD, RDC and prompts of a length, read from what really came."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.workload.tokenizer import load_tokenizer

PROMPTS = ["Tell me of the sea.", "Why is the sky blue?", "Name three rivers."]
TALKS = [
    [
        {"role": "system", "content": "Brief."},
        {"role": "user", "content": f"{name}?"},
        {"role": "user", "content": "And?"},
    ]
    for name in ("one", "two", "three")
]

PROMPT_FORMAT: dict[str, Any] = {"path": "/predict", "endpoint": {"request_format": "prompt"}}


@pytest.fixture(scope="module")
def server() -> Iterator[bk.emulator.Emulator]:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1) as running:
        yield running


def received(server: bk.emulator.Emulator, data: Any, **fields: Any) -> tuple[bk.Run, list[dict[str, Any]]]:
    """(the run, the bodies that came)."""
    path = fields.pop("path", "/v1/chat/completions")
    endpoint = bk.Endpoint(url=server.base_url + path, model="m", **fields.pop("endpoint", {}))
    server.truth(reset=True)
    plan = {"max_requests": 6} | ({} if "request_rate" in fields else {"concurrency": 2}) | fields
    run = bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, dataset=data, **plan))
    assert run.requests["outcome"].to_list() == ["ok"] * run.requests.height
    return run, [json.loads(seen["body"]) for seen in server.truth()["bodies"]]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("load", [{"concurrency": 2}, {"request_rate": 200.0}], ids=str)
def test_rd_sends_each_prompt_with_a_mark_of_its_own_and_a_limit(
    server: bk.emulator.Emulator, load: dict[str, Any], workers: int
) -> None:
    run, bodies = received(server, pl.DataFrame({"prompt": PROMPTS}), scenarios="RD(4)", workers=workers, **load)
    asked = [body["messages"][0]["content"].split("] ") for body in bodies]
    assert Counter(text for _, text in asked) == dict.fromkeys(PROMPTS, 2)
    assert len({mark for mark, _ in asked}) == 6
    assert {(body["max_tokens"], body["ignore_eos"]) for body in bodies} == {(4, True)}
    assert run.requests["scenario"].unique().to_list() == ["RD(4)"]
    assert run.requests["output_tokens"].to_list() == [4] * 6
    assert run.requests["input_tokens_client"].is_not_null().all()


@pytest.mark.parametrize("warmup", [0, 5])
def test_every_entry_is_sent_once_though_one_sender_has_more_users(server: bk.emulator.Emulator, warmup: int) -> None:
    entries = [f"Question {n}?" for n in range(24 + warmup)]
    data, load = pl.DataFrame({"prompt": entries}), {"concurrency": 3, "workers": 2}
    _, bodies = received(server, data, scenarios="RDC(4)", max_requests=24, warmup_requests=warmup, **load)
    assert Counter(body["messages"][0]["content"] for body in bodies) == dict.fromkeys(entries, 1)


def test_another_run_of_the_same_seed_has_other_marks(server: bk.emulator.Emulator) -> None:
    marks = set()
    for _ in range(2):
        _, bodies = received(server, pl.DataFrame({"prompt": PROMPTS}), scenarios="RD", concurrency=[1, 2])
        marks |= {body["messages"][0]["content"].split("] ")[0] for body in bodies}
    assert len(marks) == 2 * 2 * 6


def test_rd_in_the_prompt_format(server: bk.emulator.Emulator) -> None:
    _, bodies = received(server, pl.DataFrame({"prompt": PROMPTS}), scenarios="RD(4)", **PROMPT_FORMAT)
    assert {tuple(body) for body in bodies} == {("prompt", "max_tokens", "stream")}
    assert Counter(body["prompt"].split("] ")[1] for body in bodies) == dict.fromkeys(PROMPTS, 2)


@pytest.mark.parametrize("scenario", ["RD(4)", "RDC(4)"])
def test_conversations_are_held_turn_by_turn(server: bk.emulator.Emulator, scenario: str) -> None:
    run, bodies = received(server, pl.DataFrame({"messages": TALKS}), scenarios=scenario)
    assert sorted(run.requests["turn"].to_list()) == [1, 1, 1, 2, 2, 2]
    roles = Counter(tuple(message["role"] for message in body["messages"]) for body in bodies)
    assert roles == {("system", "user"): 3, ("system", "user", "assistant", "user"): 3}
    firsts = Counter(body["messages"][1]["content"] for body in bodies)
    assert set(firsts.values()) == {2}, "the later turn repeats the first question, its mark with it"
    assert sorted(text.split("] ")[-1] for text in firsts) == ["one?", "three?", "two?"]
    assert all(text.startswith("[NONCE-") is (scenario == "RD(4)") for text in firsts)
    assert all(body["messages"][0]["content"] == "Brief." for body in bodies)


def test_rdc_sends_the_same_bytes_in_every_run(server: bk.emulator.Emulator) -> None:
    sent = [received(server, pl.DataFrame({"prompt": PROMPTS}), scenarios="RDC(4)", concurrency=1)[1] for _ in range(2)]
    assert sent[0] == sent[1]


@pytest.mark.parametrize("scenario", ["D(60,4)", "N(60,10)/(4,1)", "U(50,70)/(2,4)", "0.5*D(40,3)+0.5*P(30,30)/4"])
def test_prompts_of_a_length_are_of_the_data_sets_words_and_never_the_same(
    server: bk.emulator.Emulator, scenario: str, tmp_path: Path
) -> None:
    path = tmp_path / "words.txt"
    path.write_text("Fish swim.\nShips sail.\n")
    count = load_tokenizer(None).count
    prompts: list[str] = []
    for _ in range(2):
        run, bodies = received(server, path, scenarios=scenario, max_requests=10)
        texts = [body["messages"][0]["content"] for body in bodies]
        assert sorted(map(count, texts)) == sorted(run.requests["input_tokens_target"].to_list())
        assert run.requests["input_tokens_client"].to_list() == run.requests["input_tokens_target"].to_list()
        prompts += texts
    assert all("Fish swim. Ships sail." in text for text in prompts)
    openings = {" ".join(text.split()[:6]) for text in prompts}
    assert len(openings) == 20 or "P(" in scenario, "what shares a prefix begins alike"
    assert len(set(prompts)) == 20


def test_documents_to_embed_are_of_the_data_sets_words_too(server: bk.emulator.Emulator) -> None:
    data = pl.DataFrame({"prompt": ["Fish swim.", "Ships sail."]})
    how = {"task": "text-to-embeddings", "path": "/v1/embeddings", "batch_size": 3}
    _, bodies = received(server, data, scenarios="E(50)", **how)
    documents = [text for body in bodies for text in body["input"]]
    assert {load_tokenizer(None).count(text) for text in documents} == {50}
    assert len(set(documents)) == 18
    assert all("Fish swim. Ships sail." in text for text in documents)


def test_words_of_conversations_serve_in_the_prompt_format(server: bk.emulator.Emulator) -> None:
    data = pl.DataFrame({"messages": TALKS})
    _, bodies = received(server, data, scenarios="D(60,4)", **PROMPT_FORMAT)
    assert all("Brief. two? And? Brief." in body["prompt"] for body in bodies)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_row_says_reaches_the_server_with_its_prompt(server: bk.emulator.Emulator, workers: int) -> None:
    rows = {
        "system": ["One word.", "Long."],
        "prompt": ["Chile?", "Mali?"],
        "max_tokens": [3, 5],
        "temperature": [0, 1],
    }
    run, bodies = received(server, pl.DataFrame(rows), scenarios="RDC", workers=workers)
    sent = {tuple(m["content"] for m in body["messages"]): (body["max_tokens"], body["temperature"]) for body in bodies}
    assert sent == {("One word.", "Chile?"): (3, 0), ("Long.", "Mali?"): (5, 1)}
    assert set(run.requests["output_tokens_target"].to_list()) == {3, 5}
    assert not {"data_unsent", "output_short"} & {finding.code for finding in run.findings}


@pytest.mark.parametrize("workers", [0, 1])
def test_the_parameters_of_a_conversation_go_with_all_its_turns(server: bk.emulator.Emulator, workers: int) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    frame = pl.DataFrame({"messages": TALKS, "tools": [tools] * 3, "max_tokens": [2, 3, 4]})
    _, bodies = received(server, frame, scenarios="RDC", workers=workers)
    assert {(body["messages"][1]["content"], body["max_tokens"]) for body in bodies} == {
        ("one?", 2),
        ("two?", 3),
        ("three?", 4),
    }
    assert all(body["tools"] == tools for body in bodies)

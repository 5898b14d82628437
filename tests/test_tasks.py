"""Tasks beside text: runs from end to end against the embedded endpoint, and against servers that answer wrongly."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

import basetenkit as bk
from basetenkit.core.errors import DataError

from .serving import answering


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with bk.emulator.serve(ttft_ms=5, itl_ms=1, dimension=24) as server:
        yield server


def embeddings(url: str, **kw: Any) -> bk.RunConfig:
    fields: dict[str, Any] = {"task": "text-to-embeddings", "scenarios": "E(32)", "batch_size": 4, "concurrency": 2}
    fields |= {"max_requests": 6, "capture": "all"}
    return bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint(url=url, model="m"), **(fields | kw))


def vectors_of(count: int) -> AbstractContextManager[str]:
    return answering({"data": [{"index": i, "embedding": [0.5, 0.25]} for i in range(count)]}, "/v1/embeddings")


def bodies(run: bk.Run) -> list[dict[str, Any]]:
    return [json.loads(run.exchange(i).request.body) for i in run.requests["request_id"]]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.baseten("embeddings")
def test_embeddings_have_rows_with_batch_dimension_and_input_tokens(server: Any, workers: int) -> None:
    run = bk.run_sync(embeddings(server.embeddings_url, workers=workers))
    rows = run.requests
    assert rows["outcome"].to_list() == ["ok"] * 6
    assert set(rows["batch_size"]) == {4}
    assert set(rows["embedding_dimension"]) == {24}
    for column in ("input_tokens_target", "input_tokens_client", "input_tokens_server", "input_tokens"):
        assert set(rows[column]) == {128}, column
    assert set(rows["token_source"]) == {"server"}
    for column in ("ttft_s", "tpot_s", "output_tokens", "output_tokens_target"):
        assert rows[column].null_count() == 6, column
    assert (rows["e2e_s"] >= 0.004).all()
    assert rows["warnings"].list.len().sum() == 0
    sent = bodies(run)
    assert {tuple(body) for body in sent} == {("model", "input")}
    documents = [text for body in sent for text in body["input"]]
    assert len(set(documents)) == 24


def test_an_exchange_of_embeddings_parses_again_as_it_did(server: Any, tmp_path: Path) -> None:
    run = bk.run_sync(embeddings(server.embeddings_url), save_to=tmp_path / "run")
    exchange = bk.load(tmp_path / "run").exchange(run.requests["request_id"][0])
    for endpoint in (None, run.config.endpoint):
        parsed = bk.ParserCase.from_exchange(exchange, endpoint).parse()
        assert (parsed.outcome.value, parsed.warnings, len(parsed.embeddings or [])) == ("ok", [], 4)


def test_embeddings_take_request_params_and_a_stream_switch_is_never_sent(server: Any) -> None:
    params = {"dimensions": 8, "encoding_format": "base64", "stream": True}
    run = bk.run_sync(embeddings(server.embeddings_url, request_params=params, batch_size=1))
    assert set(run.requests["embedding_dimension"]) == {8}
    assert set(run.requests["batch_size"]) == {1}
    assert {tuple(body) for body in bodies(run)} == {("model", "input", "dimensions", "encoding_format")}


def test_the_users_own_input_is_sent_as_it_is(server: Any) -> None:
    run = bk.run_sync(embeddings(server.embeddings_url, request_params={"input": ["a", "b", "c"]}))
    assert set(run.requests["batch_size"]) == {3}
    assert run.requests["input_tokens_target"].null_count() == 6
    assert run.requests["outcome"].to_list() == ["ok"] * 6


@pytest.mark.parametrize("count", [0, 3, 5])
def test_a_wrong_count_of_vectors_is_malformed(count: int) -> None:
    with vectors_of(count) as url:
        rows = bk.run_sync(embeddings(url, max_requests=3)).requests
    assert rows["outcome"].to_list() == ["malformed"] * 3
    assert set(rows["error_message"]) == {f"{count} embeddings came for 4 inputs; expected one per input"}


def test_without_usage_the_tokenizer_counts_the_input() -> None:
    with vectors_of(4) as url:
        rows = bk.run_sync(embeddings(url, max_requests=3)).requests
    assert rows["outcome"].to_list() == ["ok"] * 3
    assert set(rows["input_tokens"]) == {128}
    assert set(rows["token_source"]) == {"tokenizer"}


def asking(server: Any, **kw: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url=server.url, model="m")
    fields: dict[str, Any] = {
        "concurrency": 2,
        "max_requests": 8,
        "capture": "all",
        "request_params": {"max_tokens": 4},
    }
    return bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **(fields | kw))


def contents(run: bk.Run) -> list[Any]:
    return [body["messages"][0]["content"] for body in bodies(run)]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_entries_of_a_data_set_are_sent_as_they_are(server: Any, tmp_path: Path, workers: int) -> None:
    texts = [f"Question {i}: what is {i} + {i}?" for i in range(5)]
    (tmp_path / "q.txt").write_text("\n".join(texts))
    runs = [
        bk.run_sync(asking(server, dataset=data, workers=workers))
        for data in (str(tmp_path / "q.txt"), pl.DataFrame({"prompt": texts}))
    ]
    for run in runs:
        rows = run.requests
        assert rows["outcome"].to_list() == ["ok"] * 8
        assert set(rows["scenario"]) == {"dataset"}
        assert set(contents(run)) <= set(texts)
        assert rows["input_tokens_target"].null_count() == 8
        assert rows["input_tokens_server"].to_list() == rows["input_tokens_client"].to_list()
        assert not any("ignore_eos" in body for body in bodies(run))
    if not workers:  # which of several senders comes to send more is not the seed's
        assert sorted(contents(runs[0])) == sorted(contents(runs[1]))


def test_without_a_limit_none_is_sent_for_an_entry(server: Any) -> None:
    run = bk.run_sync(asking(server, dataset=pl.DataFrame({"prompt": ["Hello."]}), request_params={}, max_requests=2))
    assert not any("max_tokens" in body for body in bodies(run))
    assert run.requests["output_tokens_target"].null_count() == 2
    assert run.requests["outcome"].to_list() == ["ok"] * 2


def test_embeddings_of_a_data_set(server: Any) -> None:
    data = pl.DataFrame({"prompt": ["one two", "three four five"]})
    run = bk.run_sync(embeddings(server.embeddings_url, scenarios="dataset", dataset=data))
    assert run.requests["outcome"].to_list() == ["ok"] * 6
    assert {text for body in bodies(run) for text in body["input"]} == set(data["prompt"])
    assert run.requests["input_tokens_client"].to_list() == run.requests["input_tokens_server"].to_list()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.baseten("image content")
def test_images_are_made_to_size_and_stand_behind_the_text(server: Any, workers: int) -> None:
    run = bk.run_sync(asking(server, task="image-text-to-text", scenarios="I(64,48,2)", workers=workers))
    rows = run.requests
    assert rows["outcome"].to_list() == ["ok"] * 8
    assert set(rows["image_count"]) == {2}
    assert set(rows["image_pixels"]) == {2 * 64 * 48}
    urls = []
    for content, size in zip(contents(run), rows["image_bytes"], strict=True):
        assert [part["type"] for part in content] == ["text", "image_url", "image_url"]
        assert content[0]["text"] == "Describe this image"
        made = [part["image_url"]["url"] for part in content[1:]]
        data = [base64.b64decode(url.removeprefix("data:image/jpeg;base64,")) for url in made]
        assert [Image.open(io.BytesIO(d)).size for d in data] == [(64, 48)] * 2
        assert sum(map(len, data)) == size
        urls += made
    assert len(set(urls)) == 16


def test_what_a_server_counts_for_an_image_is_not_taken_for_its_chat_template() -> None:
    answer = {"choices": [{"message": {"content": "red"}, "finish_reason": "stop"}]}
    with answering(answer | {"usage": {"prompt_tokens": 300, "completion_tokens": 1}}, "/v1/embeddings") as url:
        endpoint = bk.Endpoint(url=url, stream=False)
        fields = {"task": "image-text-to-text", "scenarios": "I(64,64)", "concurrency": 1, "max_requests": 2}
        rows = bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **fields)).requests
    assert rows["input_tokens"].to_list() == [300, 300]
    assert not any("template" in warning for warnings in rows["warnings"] for warning in warnings)


def test_an_image_and_a_text_of_its_own_length(server: Any) -> None:
    run = bk.run_sync(asking(server, task="image-text-to-text", scenarios="ID(40,30,50,7)", request_params={}))
    rows = run.requests
    for column, value in {
        "image_count": 1,
        "image_pixels": 1200,
        "input_tokens_client": 50,
        "output_tokens": 7,
    }.items():
        assert set(rows[column]) == {value}, column
    assert len({content[0]["text"] for content in contents(run)}) == 8


def test_the_same_seed_and_salt_give_the_same_images(server: Any) -> None:
    same = {"task": "image-text-to-text", "scenarios": "I(32,32)", "salt": "s", "concurrency": 1, "max_requests": 3}
    first, again, other = (bk.run_sync(asking(server, **(same | {"seed": seed}))) for seed in (1, 1, 2))
    assert contents(first) == contents(again)
    assert not any(content in contents(first) for content in contents(other))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.baseten("image content")
def test_a_folder_of_images_is_a_data_set(server: Any, tmp_path: Path, workers: int) -> None:
    for i in range(3):
        Image.new("RGB", (20 + i, 10), (i * 80, 0, 0)).save(tmp_path / f"{i}.jpg")
    run = bk.run_sync(asking(server, task="image-text-to-text", dataset=str(tmp_path), workers=workers))
    rows, files = run.requests, [(tmp_path / f"{i}.jpg").read_bytes() for i in range(3)]
    assert rows["outcome"].to_list() == ["ok"] * 8
    assert set(rows["image_count"]) == {1}
    assert set(rows["image_pixels"]) <= {200, 210, 220}
    known = {"data:image/jpeg;base64," + base64.b64encode(data).decode() for data in files}
    assert {content[1]["image_url"]["url"] for content in contents(run)} <= known


def test_an_unreadable_image_is_told_before_anything_is_sent(server: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    server.truth(reset=True)
    with pytest.raises(DataError, match=r"'.*a\.jpg' is not a readable image"):
        bk.run_sync(asking(server, task="image-text-to-text", dataset=str(tmp_path)))
    assert server.truth()["requests"] == []

"""The real `datasets`: what it saves to disk and reads from a folder is sent by a run; what it cannot have is one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from tests.real import servers

pytestmark = pytest.mark.real

MAKE = """
import datasets
from PIL import Image
home = sys.argv[1]
texts = datasets.Dataset.from_dict({"prompt": ["one", "two", "three"], "ask": ["uno", "due", "tre"], "id": [1, 2, 3]})
texts.save_to_disk(f"{home}/texts")
datasets.DatasetDict({"train": texts, "test": texts.select([0])}).save_to_disk(f"{home}/splits")
say = lambda *words: [{"role": role, "content": text} for role, text in zip(("user", "assistant") * 2, words)]
datasets.Dataset.from_dict({"messages": [say("a?", "b", "c?"), say("d?")]}).save_to_disk(f"{home}/talks")
pictures = {"image": [Image.new("RGB", (9, 5), "red"), Image.new("RGB", (7, 3), "blue")], "ask": ["What?", "Who?"]}
images = datasets.Dataset.from_dict(pictures).cast_column("image", datasets.Image())
images.save_to_disk(f"{home}/images")
"""
SEND = """
import json
import basetenkit as bk
url, fields = sys.argv[1], json.loads(sys.argv[2])
endpoint = bk.Endpoint(url=url, model="m")
try:
    run = bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, concurrency=1, **fields))
    print(json.dumps(run.requests["outcome"].to_list()))
except bk.errors.ConfigError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("datasets")
    done = servers.beside("datasets", MAKE, str(home))
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def server() -> Iterator[bk.emulator.Emulator]:
    with bk.emulator.serve(ttft_ms=1, itl_ms=1, output_tokens=3) as running:
        yield running


def sent(server: bk.emulator.Emulator, **fields: Any) -> tuple[Any, list[Any]]:
    """(the outcomes, or the sentence of the error; the messages of each body that came)."""
    server.truth(reset=True)
    done = servers.beside("datasets", SEND, server.url, json.dumps(fields))
    assert done.returncode == 0, done.stderr
    bodies = [json.loads(seen["body"]) for seen in server.truth()["bodies"]]
    return json.loads(done.stdout.splitlines()[-1]), [body["messages"] for body in bodies]


def described(path: Path | str, kwargs: dict[str, Any] | None = None, **columns: str) -> dict[str, Any]:
    return {"source": {"type": "huggingface", "path": str(path), "huggingface_kwargs": kwargs or {}}, **columns}


def test_a_folder_of_save_to_disk_is_sent(server: bk.emulator.Emulator, folder: Path) -> None:
    data = str(folder / "texts")
    outcomes, messages = sent(server, dataset=data, scenarios="RDC(3)", max_requests=3)
    assert outcomes == ["ok"] * 3
    assert sorted(said[0]["content"] for said in messages) == ["one", "three", "two"]


def test_a_split_and_a_column_are_the_ones_that_were_named(server: bk.emulator.Emulator, folder: Path) -> None:
    data = described(folder / "splits", {"split": "test"}, prompt_column="ask")
    outcomes, messages = sent(server, dataset=data, max_requests=2)
    assert outcomes == ["ok"] * 2
    assert [said[0]["content"] for said in messages] == ["uno", "uno"]


def test_conversations_are_held(server: bk.emulator.Emulator, folder: Path) -> None:
    fields = {"scenarios": "RDC", "max_requests": 3, "history_from": "dataset"}
    _, messages = sent(server, dataset=str(folder / "talks"), **fields)
    assert sorted([part["content"] for part in said] for said in messages) == [["a?"], ["a?", "b", "c?"], ["d?"]]


def test_images_are_sent_as_they_are_held(server: bk.emulator.Emulator, folder: Path) -> None:
    data = described(folder / "images", prompt_column="ask", image_column="image")
    _, messages = sent(server, dataset=data, task="image-text-to-text", max_requests=8)
    contents = [said[0]["content"] for said in messages]
    assert {content[0]["text"] for content in contents} == {"What?", "Who?"}
    assert all(content[1]["image_url"]["url"].startswith("data:image/jpeg;base64,") for content in contents)
    assert len({content[1]["image_url"]["url"] for content in contents}) == 2


def test_a_folder_of_files_is_read_as_the_package_reads_it(server: bk.emulator.Emulator, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("question,n\nWho?,1\nWhat?,2\n")
    kwargs = {"split": "mine[:1]", "data_files": {"mine": "train.csv"}, "cache_dir": str(tmp_path / "cache")}
    data = described(tmp_path, kwargs, prompt_column="question")
    outcomes, messages = sent(server, dataset=data, max_requests=2)
    assert outcomes == ["ok"] * 2
    assert [said[0]["content"] for said in messages] == ["Who?", "Who?"]


def test_what_cannot_be_had_is_one_sentence(server: bk.emulator.Emulator, folder: Path) -> None:
    several, messages = sent(server, dataset=str(folder / "splits"))
    assert several.endswith("has the splits train, test; give one as huggingface_kwargs={'split': 'train'}")
    offline, _ = sent(server, dataset=described("nobody/nothing", {"split": "train"}))
    assert offline.startswith("dataset: the data set 'nobody/nothing' cannot be loaded (")
    assert messages == []

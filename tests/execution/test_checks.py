"""What must hold before anything is sent, told in a sentence; and how a run that was begun goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.execution.checks import check_supported, open_manifest
from basetenkit.results.store import RunFolder

from ..making import ready

KEY = "planted-key-2718"
URL = "http://127.0.0.1:9/v1/chat/completions"


def config(**kw: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url=URL, api_key=KEY, headers={"x-token": KEY}, **kw.pop("endpoint", {}))
    return bk.RunConfig(endpoint=endpoint, **({"scenarios": "D(10,5)", "concurrency": [1, 2]} | kw))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    return folder


@pytest.mark.parametrize(
    ("task", "scenario"),
    [
        ("text-to-text", "D(10,5)"),
        ("text-to-text", "N(480,240)/(300,150)"),
        ("text-to-text", "U(50,100)/(200,250)"),
        ("text-to-embeddings", "E(100)"),
        ("image-text-to-text", "I(512,512)"),
        ("image-text-to-text", "ID(512,512,10,5)"),
    ],
)
def test_what_this_version_runs_passes(task: str, scenario: str) -> None:
    check_supported(config(task=task, scenarios=scenario))
    for other in {"text-to-text", "text-to-embeddings", "image-text-to-text"} - {task}:
        with pytest.raises(ConfigError, match=f"is not for the task '{other}'; it is for {task}"):
            check_supported(config(task=other, scenarios=scenario))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"task": "text-to-embeddings", "scenarios": ["D(10,5)"]},
            "scenario 'D(10,5)' is not for the task 'text-to-embeddings'; it is for text-to-text",
        ),
        (
            {"scenarios": ["D(10,5)", "E(100)"]},
            "scenario 'E(100)' is not for the task 'text-to-text'; it is for text-to-embeddings",
        ),
        (
            {"scenarios": "RD(5)"},
            "scenario 'RD(5)' sends the entries of a data set, and there is none; give RunConfig.dataset",
        ),
        (
            {"dataset": "images", "task": "image-text-to-text", "scenarios": "ID(64,64,10,5)"},
            "RunConfig.dataset: scenario 'ID(64,64,10,5)' makes its own input and takes nothing from a data set; "
            "use scenarios='dataset' or leave the data set out",
        ),
        (
            {"scenarios": "dataset"},
            "scenario 'dataset' sends the entries of a data set, and there is none; give RunConfig.dataset",
        ),
        (
            {"task": "text-to-embeddings", "scenarios": ["E(10)", "E(10,4)"], "batch_size": [1, 8]},
            "RunConfig.batch_size: scenario 'E(10,4)' sets the number of inputs per request; leave one of the two out",
        ),
        (
            {
                "task": "text-to-embeddings",
                "scenarios": "E(10)",
                "batch_size": [1, 8],
                "request_params": {"input": ["a"]},
            },
            "RunConfig.batch_size: it is [1, 8], and request_params give the input of every request; give one of the two",
        ),
        ({"batch_size": [1, 4]}, "RunConfig.batch_size: text-to-text has one input per request; leave it at 1"),
        (
            {"dataset": "prompts.txt", "scenarios": "dataset(3)"},
            "scenario 'dataset(3)': text-to-text has one input per request; leave its number out",
        ),
        (
            {"task": "image-text-to-text", "scenarios": "I(9000,9000)"},
            'scenario "I(9000,9000)": the images of a request may have 65500 pixels a side and 64000000 together',
        ),
    ],
)
def test_what_it_does_not_run_is_told_in_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_supported(config(**fields))
    assert str(caught.value) == sentence


def test_a_new_document_is_written_and_has_what_is_needed_to_go_on(folder: RunFolder) -> None:
    manifest = open_manifest(folder, ready(config(repeats=2)))
    assert [(x.level, x.repeat, x.done, x.sent) for x in manifest.levels] == [
        (1.0, 0, False, 0),
        (2.0, 0, False, 0),
        (1.0, 1, False, 0),
        (2.0, 1, False, 0),
    ]
    metadata = manifest.metadata
    assert len(metadata.salt) == 16
    assert (metadata.tokenizer, metadata.key_sent) == ("embedded", True)
    assert metadata.versions["basetenkit"] == bk.__version__
    assert metadata.machine["cpus"]
    written = folder.read_run()
    assert written.as_dict() == manifest.as_dict()
    assert KEY not in folder.run_file.read_text()


def test_a_salt_that_is_given_is_taken_and_else_it_is_fresh(tmp_path: Path) -> None:
    def salt(name: str, **kw: Any) -> str:
        folder = RunFolder(tmp_path / name)
        folder.create()
        return str(open_manifest(folder, ready(config(**kw))).metadata.salt)

    assert salt("a", salt="mine") == "mine"
    assert salt("b") != salt("c")


def test_whether_a_key_goes_along_is_noted(folder: RunFolder) -> None:
    manifest = open_manifest(folder, ready(config(endpoint={"auth_scheme": "none"})))
    assert manifest.metadata.key_sent is False


def test_the_same_config_goes_on_with_the_same_salt_and_what_is_done(folder: RunFolder) -> None:
    first = open_manifest(folder, ready(config()))
    first.levels[0].done, first.levels[0].sent = True, 7
    folder.write_run(first)
    again = open_manifest(folder, ready(config()))
    assert again.metadata == first.metadata
    assert [x.done for x in again.levels] == [True, False]


def test_another_key_is_still_the_same_run(folder: RunFolder) -> None:
    first = open_manifest(folder, ready(config()))
    other = bk.Endpoint(url=URL, api_key="another", headers={"x-token": "another"})
    again = open_manifest(folder, ready(bk.RunConfig(endpoint=other, scenarios="D(10,5)", concurrency=[1, 2])))
    assert again.metadata.salt == first.metadata.salt


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"max_requests": 7}, "max_requests"),
        ({"max_requests": 7, "seed": 3}, "max_requests, seed"),
        ({"endpoint": {"model": "other"}}, "endpoint"),
        ({"concurrency": [1, 2, 4]}, "concurrency"),
    ],
)
def test_another_config_is_refused_and_what_differs_is_named(
    folder: RunFolder, changed: dict[str, Any], names: str
) -> None:
    open_manifest(folder, ready(config()))
    before = folder.run_file.read_bytes()
    with pytest.raises(StoreError, match=f"contains another run: {names} differ"):
        open_manifest(folder, ready(config(**changed)))
    assert folder.run_file.read_bytes() == before


def test_a_damaged_document_is_told_and_not_overwritten(folder: RunFolder) -> None:
    folder.run_file.write_text("{")
    with pytest.raises(StoreError, match="is damaged: it is not JSON"):
        open_manifest(folder, ready(config()))
    assert folder.run_file.read_text() == "{"


def test_a_document_that_lacks_its_parts_is_told(folder: RunFolder) -> None:
    folder.run_file.write_text('{"schema": 1}')
    with pytest.raises(StoreError, match=r"run\.json is damaged: it has no .config.; give a new folder"):
        open_manifest(folder, ready(config()))


def test_a_url_whose_secret_was_left_out_is_not_sent() -> None:
    saved = bk.RunConfig(endpoint=bk.Endpoint(url="http://127.0.0.1:9/v1?token=abc")).model_dump_json()
    with pytest.raises(ConfigError, match="give the whole URL again"):
        bk.start(bk.RunConfig.model_validate_json(saved))

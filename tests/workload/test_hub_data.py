"""Messages about a Hugging Face data set before the package that reads it is needed, or if it is not installed; with the package
itself: tests/real/test_hub_data.py."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from basetenkit.core.errors import DataError
from basetenkit.workload import hub_data
from basetenkit.workload.datasets import load

from ..making import config


@pytest.fixture(autouse=True)
def without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)


@pytest.mark.parametrize("mark", ["state.json", "dataset_dict.json"])
def test_without_the_package_one_sentence_says_what_to_install(tmp_path: Path, mark: str) -> None:
    (tmp_path / mark).write_text("{}")
    assert hub_data.was_saved_to_disk(tmp_path)
    sources: list[Any] = [str(tmp_path)]
    sources += [{"source": {"type": kind, "path": str(tmp_path)}} for kind in ("file", "huggingface")]
    sources.append({"source": {"type": "huggingface", "path": "a/b", "huggingface_kwargs": {"split": "train"}}})
    for source in sources:
        with pytest.raises(DataError, match="is not installed: pip install datasets"):
            load(config(dataset=source, scenarios="dataset"))


def test_a_folder_of_images_is_none_of_its(tmp_path: Path) -> None:
    assert not hub_data.was_saved_to_disk(tmp_path)
    with pytest.raises(DataError, match="has no images"):
        load(config(dataset=str(tmp_path), scenarios="dataset"))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({}, "needs 'path': a name on the hub, or a folder"),
        ({"path": ""}, "needs 'path'"),
        ({"path": "a/b", "huggingface_kwargs": {"token": "x"}}, "has no 'token'; it can have name, split, revision"),
        ({"path": "a/b", "huggingface_kwargs": {"trust_remote_code": True}}, "has no 'trust_remote_code'"),
        ({"path": "a/b", "huggingface_kwargs": "train"}, "has no 'train'"),
    ],
)
def test_what_a_source_may_not_say_is_told(source: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load(config(dataset={"source": source | {"type": "huggingface"}}, scenarios="dataset"))

"""Data sets of every form become entries; a fault in one gives an error in one sentence, before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

import basetenkit as bk
from basetenkit.core.errors import ConfigError, DataError
from basetenkit.workload.datasets import ABOUT_AN_IMAGE, load

TEXTS = ["Say one.", 'Say "two", then, three', "Sag für."]
ROWS = [{"id": str(i), "prompt": text} for i, text in enumerate(TEXTS)]


def config(dataset: Any, **kw: Any) -> bk.RunConfig:
    return bk.RunConfig(endpoint=bk.Endpoint(url="http://127.0.0.1:9/v1"), dataset=dataset, **kw)


def prompts(dataset: Any, **kw: Any) -> list[str]:
    entries = load(config(dataset, **kw))
    assert entries is not None
    return list(entries.prompts)


def write(path: Path) -> None:
    """The three texts in the form that the name says."""
    frame = pl.DataFrame(ROWS)
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        lines = {".txt": TEXTS, ".jsonl": [json.dumps(row) for row in ROWS]}
        text = "\n\n".join(lines[path.suffix]) + "\n" if path.suffix in lines else json.dumps(ROWS)
        path.write_text(text, "utf-8")


@pytest.mark.parametrize("kind", ["txt", "csv", "json", "jsonl", "parquet"])
def test_each_form_of_file_gives_its_texts(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data.{kind}"
    write(path)
    assert prompts(str(path)) == prompts(path) == TEXTS
    assert prompts({"source": {"type": "file", "path": str(path), "file_format": kind}}) == TEXTS


@pytest.mark.parametrize("kind", ["json", "jsonl"])
def test_bare_texts_need_no_column(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"data.{kind}"
    path.write_text(json.dumps(TEXTS) if kind == "json" else "\n".join(map(json.dumps, TEXTS)))
    assert prompts(path) == TEXTS


def test_frames_lazy_or_not_and_a_single_column() -> None:
    frame = pl.DataFrame(ROWS)
    assert prompts(frame) == prompts(frame.lazy()) == prompts(frame.select(said="prompt")) == TEXTS


def test_a_description_names_the_column_as_a_dict_or_as_a_file(tmp_path: Path) -> None:
    pl.DataFrame(ROWS).rename({"prompt": "question"}).write_csv(tmp_path / "q.csv")
    source = {"type": "file", "path": str(tmp_path / "q.csv"), "file_format": "csv"}
    description = {"source": source, "prompt_column": "question"}
    (tmp_path / "description.json").write_text(json.dumps(description))
    assert prompts(description) == prompts(tmp_path / "description.json") == TEXTS


def test_images_come_from_a_folder_or_from_a_column_of_paths(tmp_path: Path) -> None:
    for name, size in (("a.png", (9, 5)), ("b.jpg", (7, 3))):
        Image.new("RGB", size, "blue").save(tmp_path / name)
    pl.DataFrame({"file": ["b.jpg", "a.png"], "ask": ["What?", "Who?"]}).write_csv(tmp_path / "i.csv")
    folder = load(config(tmp_path, task="image-text-to-text"))
    source = {"type": "file", "path": str(tmp_path / "i.csv")}
    column = load(config({"source": source, "image_column": "file", "prompt_column": "ask"}, task="image-text-to-text"))
    assert folder is not None
    assert column is not None
    assert (list(folder.prompts), [p.pixels for p in folder.pictures]) == ([ABOUT_AN_IMAGE] * 2, [45, 21])
    assert (list(column.prompts), [p.pixels for p in column.pictures]) == (["What?", "Who?"], [21, 45])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.txt", "\n \n", "has no entries; give at least one"),
        ("empty.csv", "", "has no entries"),
        ("head.csv", "prompt\n", "has no entries"),
        ("empty.jsonl", "", "has no entries"),
        ("empty.json", "[]", "has no entries"),
        ("two.csv", "a,b\nx,y\n", r"has no column 'prompt'; rename one, or give prompt_column \(it has a, b\)"),
        ("two.jsonl", '{"question": "x", "query": "y"}', r"has no column 'prompt'; .* \(it has question, query\)"),
        (
            "trace.csv",
            "TIMESTAMP,ContextTokens\n2023-11-16 18:15:46.68,374\n",
            "has no column of texts: .* only numbers, dates",
        ),
        ("gap.csv", "prompt,b\n,1\n,2\n", r"none of the 2 rows .* can be sent: nothing is asked \(rows 1 and 2\)"),
        ("bad.json", "[1, 2", r"cannot be read as json \("),
        ("bad.jsonl", '"a"\n{', r"cannot be read as jsonl \("),
        ("number.json", "[1, 2]", "it is not a list of texts only, or of objects only"),
        ("object.json", '{"a": 1}', "it is not a list of texts or of objects"),
        ("bad.parquet", "hello", r"cannot be read as parquet \("),
        ("latin.txt", "f\xfcr", r"cannot be read as txt \("),
        (
            "data.xlsx",
            "x",
            "is of no known format; it can be a folder of images or txt, csv, tsv, json, jsonl, ndjson, parquet; give the frame",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path, name: str, content: str, sentence: str) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=sentence) as caught:
        load(config(tmp_path / name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        ("gone.txt", "there is no file 'gone.txt'; give the path of one"),
        ({"source": {"type": "custom", "path": "a/b"}}, "load other data yourself and give a polars frame"),
        ({"path": "x.csv"}, "there is no field 'path'; the fields are image_column"),
        ({"prompt_column": "x"}, "its source must be"),
        ({"unsafe_allow_large_images": True}, "is not taken; make such images smaller"),
        (["a", "b"], "it is a list; give a path, a polars frame, or a description as a dict"),
        (pl.DataFrame({"prompt": [1, 2]}), r"holds only numbers, dates or times \(1, 2\) and no prompts"),
        (pl.DataFrame({"prompt": [None, True]}), "holds only numbers"),
        ("x" * 300, r"cannot be the path of a file \(File name too long\)"),
        ("a\0b.txt", r"cannot be the path of a file \(it has a NUL character\)"),
        ({"source": {"type": "file", "path": "y" * 300}}, "cannot be the path of a file"),
        (pl.DataFrame({"prompt": []}), "the frame has no entries"),
    ],
)
def test_what_is_no_data_set_is_told(dataset: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        load(config(dataset))


def test_a_task_and_its_data_must_fit(tmp_path: Path) -> None:
    Image.new("RGB", (3, 3)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="it has images, and the task is 'text-to-text'"):
        load(config(tmp_path))
    with pytest.raises(DataError, match="needs images; give a folder of images"):
        load(config(pl.DataFrame(ROWS), task="image-text-to-text"))


def test_images_can_stand_in_the_column_themselves(tmp_path: Path) -> None:
    Image.new("RGB", (7, 3), "blue").save(tmp_path / "b.jpg")
    data = (tmp_path / "b.jpg").read_bytes()
    frame = pl.DataFrame({"image": [{"bytes": data, "path": None}, {"bytes": None, "path": "b.jpg"}]})
    frame.write_parquet(tmp_path / "i.parquet")
    described = {"source": {"type": "file", "path": str(tmp_path / "i.parquet")}, "image_column": "image"}
    entries = load(config(described, task="image-text-to-text"))
    assert entries is not None
    assert [(picture.size_bytes, picture.pixels) for picture in entries.pictures] == [(len(data), 21)] * 2
    for broken, sentence in (
        ({"bytes": None, "path": None}, "row 1 of .* is empty"),
        ({"bytes": b"x", "path": None}, "is not a readable image"),
    ):
        pl.DataFrame({"image": [broken]}, schema={"image": frame.schema["image"]}).write_parquet(tmp_path / "i.parquet")
        with pytest.raises(DataError, match=sentence):
            load(config(described, task="image-text-to-text"))


def test_a_frame_is_told_apart_by_what_it_holds_and_does_not_come_back() -> None:
    frame = pl.DataFrame(ROWS)
    dumped = [
        config(f).model_dump(mode="json")["dataset"] for f in (frame, frame.clone(), frame.reverse(), frame.lazy())
    ]
    assert dumped[0] == dumped[1] == dumped[3] != dumped[2]
    assert (dumped[0]["rows"], dumped[0]["columns"]) == (3, ["id", "prompt"])
    halves = pl.concat([frame.head(1), frame.tail(2)], rechunk=False)
    assert config(halves).model_dump(mode="json")["dataset"] == dumped[0]
    assert "dataset" in repr(config(frame))
    with pytest.raises(DataError, match="a frame is not saved with its run"):
        load(config(dumped[0]))


def test_nothing_is_sent_and_no_folder_made_where_the_data_are_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no file"):
        bk.run_sync(config(str(tmp_path / "gone.csv")), save_to=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_data_files_says_to_give_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "data" / "train.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        DataError, match=r"has no images but files of data; give one of them, e\.g\. '.*train\.parquet'"
    ):
        load(config(tmp_path))


def test_an_image_in_a_message_is_refused_with_its_row(tmp_path: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    rows = [[{"role": "user", "content": "a"}], [{"role": "user", "content": [{"type": "text", "text": "b"}, image]}]]
    for key in ("messages", "prompt"):
        (tmp_path / "m.jsonl").write_text("\n".join(json.dumps({key: row}) for row in rows))
        with pytest.raises(
            DataError, match=r"cannot be sent: a content has a part of type 'image_url'.* \(row 2\); take"
        ):
            load(config(tmp_path / "m.jsonl"))

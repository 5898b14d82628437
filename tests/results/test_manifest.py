from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from basetenkit.config.loads import ClosedLoop, LevelKey
from basetenkit.config.plan import PlannedLevel
from basetenkit.core.errors import StoreError
from basetenkit.core.findings import finding
from basetenkit.core.reasons import Stop, StopReason
from basetenkit.results.manifest import LevelEntry, LevelReport, Manifest, Metadata

LEVEL = PlannedLevel(3, LevelKey("D(10,4)", ClosedLoop(8)), 1)
SAVED = Path(__file__).parents[1] / "data" / "0.1.0.dev0"


def read(document: object) -> Manifest:
    return Manifest.from_json(json.dumps(document).encode(), Path("r"))


def test_an_entry_is_of_its_level_and_takes_over_what_a_report_says() -> None:
    entry = LevelEntry.planned(LEVEL)
    assert (entry.plan, entry.key, entry.done) == (LEVEL, LEVEL.key, False)
    stop = Stop(StopReason.TIME, {"seconds": 9.0})
    entry.take(LevelReport(sent=7, ended_by=stop))
    assert (entry.sent, entry.ended_by, entry.index, entry.peak_in_flight) == (7, stop, 3, 0)


def test_what_is_written_is_read_back_and_what_was_not_set_is_not_written() -> None:
    entry = LevelEntry.planned(LEVEL)
    entry.ended_by = Stop(StopReason.STOPPED, {"why": "enough"})
    events = [finding("capture_full", n=6, limit=0)]
    manifest = Manifest(config={"seed": 3}, metadata=Metadata(salt="s", events=events), levels=[entry])
    document = json.loads(manifest.to_json())
    assert document["metadata"].keys() == {"salt", "events"}
    assert list(document["levels"][0]) == ["index", "scenario", "load", "level", "repeat", "done", "sent", "ended_by"]
    assert document["levels"][0]["ended_by"] == {"reason": "stopped", "why": "enough"}
    assert Manifest.from_json(manifest.to_json(), Path("r")) == manifest
    assert manifest.of_level(LEVEL.key) == [entry]
    assert manifest.of_level(LevelKey("D(10,4)", ClosedLoop(1))) == []


def test_fields_of_a_later_version_are_kept() -> None:
    document = read({"schema": 2, "config": {}, "metadata": {"weather": "fine"}, "levels": []})
    assert json.loads(document.to_json())["metadata"] == {"weather": "fine"}


@pytest.mark.parametrize("name", ["conversations", "gave_up"])
def test_a_run_of_an_earlier_version_is_read(name: str) -> None:
    file = SAVED / name / "run.json"
    manifest = Manifest.from_json(file.read_bytes(), file.parent)
    assert [entry.index for entry in manifest.levels] == list(range(len(manifest.levels)))
    assert all(isinstance(entry.ended_by, Stop | None) for entry in manifest.levels)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "r/run.json is not a run of basetenkit: it has no schema version"),
        ({"schema": 999}, r"r is of schema 999, newer than this version reads \(2\)"),
        ({"schema": 2}, r"r/run.json is damaged: it has no 'config'; give a new folder"),
        ({"schema": 1, "config": {}, "metadata": {}, "levels": [1]}, "r/run.json is damaged"),
        (
            {"schema": 2, "config": {}, "metadata": {}, "levels": [{"scenario": 1}]},
            r"damaged: levels\.0\.scenario: Input",
        ),
        ({"schema": 2, "config": {}, "metadata": {"events": [{}]}, "levels": []}, r"damaged: metadata\.events\.0: "),
    ],
)
def test_what_is_damaged_is_told_in_one_sentence(document: Any, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence):
        read(document)

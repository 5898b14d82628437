from __future__ import annotations

import json
from pathlib import Path

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError, StoreError
from basetenkit.studies.capacity_blocks import BlockRecord
from basetenkit.studies.capacity_state import FILE, SearchState

CONFIG = bk.RunConfig(endpoint="http://127.0.0.1:9/v1/chat/completions")
SETTINGS = {"goodput": 0.95, "load": "concurrency"}
RECORD = BlockRecord(2.0, "search", 9.0, 160, 60, 45.0, 0, 3.5, True, 1.0, 2.0, 10, None, {"cut": 15}, [0.1, 0.2])


def state(root: Path | None, **settings: object) -> SearchState:
    return SearchState.open(root, CONFIG, SETTINGS | settings, {"e2e_s": 0.5})


def test_what_is_saved_comes_back_as_it_was(tmp_path: Path) -> None:
    made = state(tmp_path)
    made.records, made.e2e_s, made.singles, made.extra, made.begun = [RECORD], 0.25, [0.1, 0.3], 20, True
    made.save(tmp_path)
    assert state(tmp_path) == made


def test_a_search_saved_before_single_requests_were_kept_is_read(tmp_path: Path) -> None:
    made = state(tmp_path)
    made.records = [RECORD]
    made.save(tmp_path)
    saved = json.loads((tmp_path / FILE).read_text())
    del saved["singles"], saved["records"][0]["singles"], saved["records"][0]["sessions"]
    (tmp_path / FILE).write_text(json.dumps(saved))
    assert state(tmp_path).records[0].singles == []


def test_another_search_or_a_damaged_file_is_refused(tmp_path: Path) -> None:
    state(tmp_path).save(tmp_path)
    with pytest.raises(ConfigError, match="another goodput"):
        state(tmp_path, goodput=0.9)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        state(tmp_path)


def test_what_is_left_of_a_budget() -> None:
    made = state(None)
    made.records, made.extra, made.seconds, made.tokens, made.e2e_s = [RECORD], 20, 90.0, 500, 0.5
    left = made.left(bk.Budget(minutes=2, requests=1000, tokens=100))
    assert left == {"minutes": 0.5, "requests": 820, "tokens": 0.0}
    assert made.rate_at(4.0) == 8.0

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from basetenkit.execution.checks import prepare
from basetenkit.workload import datasets

from ..making import KEY, config


def test_all_that_a_run_sends_with_is_checked_and_read_once() -> None:
    frame = pl.DataFrame({"prompt": ["Fish swim.", ""]})
    c = config(dataset=frame, scenarios="dataset", concurrency=[1, 2], request_params={"max_tokens": 4})
    with pytest.warns(UserWarning, match="1 of the 2 rows"):
        made = prepare(c)
    assert made.config is c
    assert made.entries is not None
    assert list(made.entries.prompts) == ["Fish swim."]
    assert [str(level) for level in made.levels] == ["dataset at concurrency 1", "dataset at concurrency 2"]
    assert [event.code for event in made.events] == ["data_left_out"]
    assert any(KEY in value for _, value in made.head.headers)
    assert KEY.encode() in made.secrets
    assert KEY not in repr(made)


def test_what_is_wrong_is_told_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="there is none; give RunConfig"):
        prepare(config(scenarios="dataset"))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_set_is_read_once_whoever_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    """The file goes as soon as the run has begun: nobody reads it again."""
    path = tmp_path / "prompts.txt"
    path.write_text("Fish swim.\nBirds fly.\n")
    with bk.emulator.serve(ttft_ms=2, itl_ms=1, output_tokens=3) as server:
        c = config(
            url=server.url, dataset=str(path), scenarios="dataset", workers=workers, request_params={"max_tokens": 3}
        )
        live = bk.start(c)
        path.unlink()
        run = live.result(60)
    assert run.requests["outcome"].to_list() == ["ok"] * 6
    assert datasets.load(config()) is None

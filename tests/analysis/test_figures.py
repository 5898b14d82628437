from __future__ import annotations

import polars as pl

from basetenkit.analysis import figures
from basetenkit.results.run_data import RunData

from .frames import failures, manifest_of, rows


def run_of(*parts: pl.DataFrame) -> RunData:
    frame = pl.concat(parts)
    return RunData.of_frames(manifest_of(frame, max_requests=20), frame)


def test_each_figure_is_made_once_a_run() -> None:
    one, other = run_of(rows(20)), run_of(rows(20))
    for figure in (figures.summary, figures.spread, figures.fates, figures.findings, figures.planned):
        assert figure(one) is figure(one)
        assert figure(one) is not figure(other)


def test_a_run_is_complete_if_every_planned_request_ended_by_itself() -> None:
    assert figures.complete(run_of(rows(20)))
    assert not figures.complete(run_of(rows(19)))
    assert not figures.complete(run_of(rows(19), failures(1, "cancelled")))
    undone = run_of(rows(20))
    undone.manifest.levels[0].done = False
    assert not figures.complete(undone)


def test_what_was_tried_again_was_planned_once_more() -> None:
    again = rows(2, phase="warmup", attempt=2)
    assert figures.planned(run_of(rows(20), again))["planned"].to_list() == [22]


def test_the_metadata_have_the_clock_and_the_levels() -> None:
    about = figures.metadata(run_of(rows(20)))
    assert about["tokenizer"] == "embedded"
    assert isinstance(about["levels"], list)
    assert isinstance(about["clock"], dict)
    assert about["clock"]["requests"] == {"kernel": 20}

from __future__ import annotations

import pytest

from basetenkit.core.progress import duration, left_s
from basetenkit.notebook.live.panels import (
    LevelState,
    counts,
    histogram,
    levels_table,
    percentiles,
    sparkline,
)

PROGRESS = {"planned": 10, "finished": 4, "sent": 6, "in_flight": 2, "seconds": 2.0, "output_tokens": 40}
EVIL = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    ("finished", "limit", "left"), [(4, 600.0, 3.0), (4, 4.0, 2.0), (0, 600.0, None), (10, 9.0, 0.0)]
)
def test_time_left_is_by_the_rate_so_far_and_no_more_than_the_level_may_take(
    finished: int, limit: float, left: float | None
) -> None:
    assert left_s(PROGRESS | {"finished": finished}, limit) == left


@pytest.mark.parametrize(("seconds", "said"), [(None, "–"), (7.6, "8 s"), (125, "2 min 5 s"), (3780, "1 h 3 min")])
def test_durations_are_said_as_people_say_them(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


def test_each_level_has_its_bar_and_its_figures() -> None:
    now = LevelState("D at 8", 10, "now", 4, 2.0, 3.0, {"ttft_s_p50": 0.0312, "output_tokens_per_s": 3444.6})
    shown = levels_table([now, LevelState("D at 16", 10)])
    for text in (
        "width:40.0%",
        'aria-valuenow="4"',
        "4 of 10",
        ">2.0<",
        ">3 s<",
        "31.2 ms",
        "3,445",
        ">waits<",
        "0 of 10",
    ):
        assert text in shown
    assert "width:0.0%" in shown


def test_more_rows_than_planned_fill_the_bar_and_no_more() -> None:
    assert "width:100.0%" in levels_table([LevelState("x", 10, "done", 12, 1.0)])


def test_counts_name_every_outcome_and_what_a_server_said_is_text() -> None:
    said = counts(PROGRESS | {"outcomes": {"http_error": 3, "ok": 1}, "last_error": EVIL}, False, 61.0)
    for tile in ("<b>1 min 1 s</b>", "<b>2</b><span>in flight", "<b>6</b><span>sent", "<b>3</b><span>http error"):
        assert tile in said
    assert said.index("<span>ok<") < said.index("<span>http error<")
    assert "&lt;img" in said
    assert "<img" not in said
    assert "left" not in counts(PROGRESS | {"outcomes": {"ok": 4}, "last_error": None}, True, 61.0)


def test_percentiles_have_their_intervals_and_how_the_values_lie() -> None:
    figures = {"ttft_s_p50": 0.0301, "ttft_s_p50_low": 0.029, "ttft_s_p50_high": 0.031, "ttft_s_p99_low": 0.04}
    shown = percentiles(
        LevelState(EVIL, 10, "now", figures=figures, values={"ttft_s": [0.03, 0.03, 0.04], "tpot_s": []})
    )
    assert "30.1 (29.0–31.0)" in shown
    assert "≥ 40.0" in shown
    assert "TPOT" not in shown
    assert "<img" not in shown
    assert percentiles(LevelState("x", 10)) == ""


def test_a_histogram_draws_each_bin_that_holds_something() -> None:
    drawn = histogram([0.01, 0.01, 0.02])
    assert drawn.count("<rect") == 2
    assert 'height="20.0"' in drawn
    assert 'height="10.0"' in drawn
    assert "10.0 ms to 20.0 ms" in drawn


def test_the_line_needs_two_reads_and_lies_in_time() -> None:
    assert sparkline([(0.0, 5.0)]) == sparkline([(0.0, 0.0), (1.0, 0.0)]) == ""
    drawn = sparkline([(10.0, 5.0), (11.0, 10.0), (14.0, 0.0)])
    assert 'points="0,32.0 120,4.0 480,60.0"' in drawn
    assert "in the last 4 s, counted when requests end: 0 now, 10 at most" in drawn


def test_an_slo_has_a_column_and_the_run_its_time_left() -> None:
    kept = LevelState("a", 10, figures={"goodput": 0.98, "goodput_low": 0.9, "goodput_high": 1.0})
    assert "within the SLO, %" in levels_table([kept])
    assert "98.0 (90.0–100.0)" in levels_table([kept])
    assert "within the SLO" not in levels_table([LevelState("a", 10)])
    assert "left in the run, about" in counts(PROGRESS | {"outcomes": {"ok": 4}, "last_error": None}, False, 1.0, 90.0)


def test_a_stop_is_not_shown_as_an_error() -> None:
    stopped = PROGRESS | {"outcomes": {"ok": 4, "cancelled": 2}, "last_error": "Stop was pressed"}
    assert "last error" not in counts(stopped, True, None)


def test_the_error_of_an_endpoint_that_never_answered_is_shown_and_a_stop_is_not() -> None:
    dead = PROGRESS | {"outcomes": {}, "last_error": "the host name cannot be resolved"}
    assert "last error: the host name cannot be resolved" in counts(dead, True, None)


def test_dollars_so_far_are_shown_if_they_are_known() -> None:
    outcomes = PROGRESS | {"outcomes": {"ok": 4}, "last_error": None}
    assert "US dollars so far" not in counts(outcomes, False, 3.0)
    shown = counts(outcomes, False, 3.0, usd=1.25)
    assert "<b>1.25</b><span>US dollars so far</span>" in shown

"""When a finding comes and when it does not: caches, conversations, limits on the output, cut levels."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from basetenkit.core.notes import note
from basetenkit.results.row_notes import saved

from .frames import failures
from .test_diagnosis import N, clean, config, cut_short, diagnosis, mixed, talks


@pytest.mark.parametrize(
    "columns",
    [
        {"scenario": "P(90,10)/5"},
        {"scenario": "1*D(100,20)+1*P(90,10)/20"},
        {"scenario": "RDC(20)"},
        {"conversation_id": "c-1"},
        {"cached_tokens": 0},
        {"cached_tokens": None},
    ],
)
def test_tokens_from_a_cache_that_were_planned_are_no_finding(columns: dict[str, Any]) -> None:
    found = diagnosis(clean(**({"cached_tokens": 16} | columns)))
    assert "cached_unplanned" not in {f.code for f in found}


def of_the_cache(scenario: str, **columns: Any) -> list[str]:
    """The sentences about the cache of a run whose prompts have 1000 tokens."""
    tokens = {"input_tokens": 1000, "input_tokens_server": 1000, "input_tokens_client": 1000}
    found = diagnosis(clean(scenario=scenario, **(tokens | columns)))
    return [f.sentence for f in found if f.code == "cached_unplanned"]


def test_more_from_the_cache_than_the_shared_prefix_is_told() -> None:
    assert of_the_cache("P(900,100)/20", cached_tokens=896) == []
    assert of_the_cache("P(900,100)/20", cached_tokens=903) == [], "words can be alike by chance"
    (said,) = of_the_cache("P(900,100)/20", cached_tokens=[960] * 3 + [896] * (N - 3))
    assert "in 3 of 1200 responses, and of each only the 900 of its shared prefix are planned" in said
    (said,) = of_the_cache("1*D(1000,20)+1*P(90,10)/20", cached_tokens=512)
    assert "only the 90" in said


def test_a_prefix_is_counted_as_the_server_counts_it() -> None:
    with_template = {"input_tokens": 1030, "input_tokens_server": 1030}
    assert of_the_cache("P(900,100)/20", cached_tokens=930, **with_template) == []
    assert of_the_cache("P(900,100)/20", cached_tokens=1024, **with_template) != []
    vocabulary = {"input_tokens": 1300, "input_tokens_server": 1300}
    assert of_the_cache("P(900,100)/20", cached_tokens=1170, **vocabulary) == []
    assert of_the_cache("P(900,100)/20", cached_tokens=1296, **vocabulary) != []


def test_a_marked_prompt_is_meant_for_no_cache() -> None:
    assert of_the_cache("RD(20)", cached_tokens=512) != []


def ended(*arguments: Any, **entry: Any) -> list[str]:
    frame, planned = arguments
    found = diagnosis(frame, config(max_requests=planned), entry=entry)
    return [f.sentence for f in found if f.code == "conversations_ended"]


def test_conversations_that_a_failure_cut_are_counted_and_so_are_their_turns() -> None:
    (said,) = ended(talks([3, 1, 2, 3], failed=[1, 2]), 12)
    assert said.startswith("D(100,20) at concurrency 1: 2 of 4 conversations ended early")
    assert "3 of their turn(s) were never sent" in said
    assert ended(talks([3, 3], failed=[1]), 6) == [], "its last turn failed, so none was lost"
    assert ended(talks([3, 2], failed=[1]), 5) == [], "the plan ended there"
    assert len(ended(talks([3, 2], failed=[1]), 6)) == 1


def test_a_level_that_was_cut_off_does_not_tell_where_its_last_conversation_ends() -> None:
    frame = talks([1, 2], failed=[0, 1])
    (said,) = ended(frame, 300, done=False)
    assert "1 of 2 conversations ended early because a turn failed, and 2 of their turn(s)" in said
    assert ended(frame.filter(pl.col("outcome") == "ok"), 300, done=False) == []


def test_each_repeat_has_conversations_of_its_own() -> None:
    both = pl.concat([talks([3, 1], failed=[1]), talks([3, 3], failed=[], repeat=1)])
    (said,) = ended(both, 6)
    assert "1 of 4 conversations ended early because a turn failed, and 2 of their turn(s)" in said


def test_files_that_could_not_be_read_are_named() -> None:
    (found,) = diagnosis(clean(), left_out=["requests/0001.parquet"])
    assert found.code == "stopped_early"
    assert "requests/0001.parquet" in found.sentence


def test_a_key_over_loopback_or_https_is_not_in_clear() -> None:
    for url in ("http://127.0.0.1:9/x", "https://models.example/x"):
        assert diagnosis(clean(), config({"url": url}), metadata={"key_sent": True}) == []


def test_the_cure_of_a_wide_bound_is_one_that_is_not_taken_yet() -> None:
    for workers, cure in ((0, "workers=1,"), (2, "workers=3 if a core is free")):
        (found,) = diagnosis(clean(ttft_error_s=0.015), config(workers=workers))
        assert cure in found.cure


def test_a_healthy_level_that_ended_by_time_has_no_failures() -> None:
    assert not {"some_failed", "unanswered"} & {f.code for f in diagnosis(cut_short(waited=0.3))}


def test_cut_requests_are_not_counted_among_failures() -> None:
    said = diagnosis(
        pl.concat([mixed(3), failures(4, "cancelled", level=4.0, start_s=float(N) + 9, end_s=float(N) + 9.1)])
    )
    found, cut = said
    assert (found.code, cut.code) == ("some_failed", "unfinished")
    assert "3 of" in found.sentence
    assert "cancelled" not in found.sentence


def test_a_busy_client_is_not_taken_for_a_gateway() -> None:
    """All tokens in one read, and a bound as wide as the response: it is unknown when they came."""
    late = clean().with_columns(ttft_s="e2e_s", ttft_error_s=pl.col("e2e_s") * 0.8, e2e_error_s=pl.col("e2e_s") * 0.8)
    assert not {f.code for f in diagnosis(late)} & {"came_at_once", "held_back"}


def test_a_limit_on_the_output_is_held_by_hidden_reasoning_of_another_budget() -> None:
    codes = [f.code for f in diagnosis(clean(output_tokens_server=25, output_tokens=25, reasoning_tokens=5))]
    assert "output_long" not in codes


@pytest.mark.parametrize(
    ("columns", "long"),
    [
        ({"output_tokens_server": 22, "output_tokens": 22}, True),
        (
            {
                "notes": [[saved(note("over_max_tokens", value=60, limit=20))]] * N,
                "output_tokens_server": None,
            },
            True,
        ),
        ({"output_tokens_server": None, "output_tokens_client": 50, "output_chunks": 50}, True),
        ({"output_tokens_server": None, "output_tokens_client": 30, "output_chunks": 15}, False),
    ],
)
def test_answers_longer_than_asked_for_are_told(columns: dict[str, Any], long: bool) -> None:
    codes = [f.code for f in diagnosis(clean(**columns))]
    assert ("output_long" in codes) is long
    if "notes" in columns:
        assert "tokens_by_tokenizer" not in codes  # the server did report a count


def test_the_count_of_short_responses_is_that_of_the_rows() -> None:
    """20 requested tokens each: 30 responses are short, 5 of them by far; the others have them all."""
    tokens = [10] * 5 + [19] * 25 + [20] * (N - 30)
    frame = clean(output_tokens=tokens, output_tokens_server=tokens, output_tokens_client=tokens)
    (said,) = [f.sentence for f in diagnosis(frame) if f.code == "output_short"]
    assert said.endswith(
        f": 30 of {N} responses have fewer output tokens than requested (the median of these: 19 of 20)."
    )
    nearly = clean(output_tokens=19, output_tokens_server=19, output_tokens_client=19)
    assert "output_short" not in {f.code for f in diagnosis(nearly)}

from __future__ import annotations

import numpy as np
import pytest

from basetenkit.analysis.verdict_sentences import MESSAGE_MAX, rose
from basetenkit.core.tables import percent
from basetenkit.core.types import Estimate

from .test_verdict import level, run_of


@pytest.mark.parametrize("share", [0.0, 1e-7, 0.0004, 0.14, 0.99, 0.999, 0.99998, 1.0])
def test_a_share_that_is_neither_none_nor_all_is_not_written_so(share: float) -> None:
    assert (percent(share) == "0%") == (share == 0)
    assert (percent(share) == "100%") == (share == 1)
    assert "100.0" not in percent(share)


def test_a_figure_rose_only_if_the_intervals_are_apart() -> None:
    assert rose(Estimate(1, 0.9, 1.1), Estimate(2, 1.2, 2.5))
    assert not rose(Estimate(1, 0.9, 1.3), Estimate(2, 1.2, 2.5))
    assert not rose(Estimate(1), Estimate(2))


def test_no_run_has_more_than_three_sentences_and_none_is_long() -> None:
    slow, failing = level(16, 400, 0.5), level(8, 400, 0.1)
    bad = np.arange(400) % 3 == 0
    outcome = np.where(bad, "http_error", "ok").tolist()
    failing = failing.with_columns(outcome=np.array(outcome), error_message=np.array(["x" * 900] * 400))
    run = run_of(level(1, 300, 0.1), failing, slow, slo={"ttft_s": 0.3})
    run.manifest.levels[-1].done = False
    assert 1 <= len(run.verdict.sentences) <= 3
    assert max(map(len, run.verdict.sentences)) < 3 * MESSAGE_MAX

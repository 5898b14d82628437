from __future__ import annotations

import pytest

from basetenkit.analysis.compared import DifferenceEvidence, change, changes, ratio_text
from basetenkit.config.loads import ClosedLoop, LevelKey
from basetenkit.core.types import Estimate


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.906, 0.939, "6.1% to 9.4% lower"),
        (1.02, 1.15, "2% to 15% higher"),
        (0.97, 1.05, "3% lower to 5% higher"),
        (2.1, 3.4, "2.10 to 3.40 times as high"),
        (1.8, 2.4, "80% higher to 2.40 times as high"),
        (1.0, 1.03, "the same to 3% higher"),
    ],
)
def test_an_interval_in_words(low: float, high: float, words: str) -> None:
    assert changes(low, high) == words


def test_a_ratio_has_no_more_digits_than_mean_anything() -> None:
    assert [change(x) for x in (0.922, 1.0, 5.0)] == ["7.8% lower", "the same", "5.00 times as high"]
    assert [ratio_text(x) for x in (2.83, 0.0402, 3.76e5, 0.0)] == ["2.83", "0.040", "over 1,000", "0.000"]
    assert ratio_text(None, "…") == "…"


def test_a_difference_is_one_only_if_its_whole_interval_is_known_and_beyond_1() -> None:
    def evidence(low: float | None, high: float | None) -> DifferenceEvidence:
        level = LevelKey("D(1,1)", ClosedLoop(1))
        return DifferenceEvidence("ttft_s_p50", level, Estimate(1.0), Estimate(1.1), Estimate(1.1, low, high))

    found = [evidence(*ends).differs for ends in ((1.01, 1.2), (0.99, 1.2), (1.01, None), (None, None), (0.8, 0.99))]
    assert found == [True, False, False, False, True]

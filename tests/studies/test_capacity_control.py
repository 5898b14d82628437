from __future__ import annotations

from basetenkit.stats.capacity import Evidence, posterior
from basetenkit.studies.capacity_control import SearchControl, SearchProgress


def test_the_rest_of_the_budget_in_words() -> None:
    left = {"minutes": 2.0, "requests": 1500.0, "tokens": 10_000.0, "usd": 0.5}
    seen = SearchProgress("x", "requests/s", 0.95, left=left)
    assert seen.left_text == "2.0 minutes, 1,500 requests, 10,000 tokens, 0.50 US dollars left"
    assert SearchProgress("x", "requests/s", 0.95).left_text == ""


def test_the_interval_so_far_in_words() -> None:
    assert "no interval yet" in SearchProgress("x", "requests/s", 0.95).posterior_text
    now = posterior([Evidence(2.0, 900, 890.0), Evidence(4.0, 900, 450.0)], 0.95, 1.0, 6.0)
    text = SearchProgress("x", "requests/s", 0.95, posterior=now).posterior_text
    assert text == f"{now.value:.3g} requests/s (95% interval {now.low:.3g} to {now.high:.3g})"


def test_stop_is_remembered() -> None:
    control = SearchControl()
    assert not control.stopped
    control.stop()
    assert control.stopped

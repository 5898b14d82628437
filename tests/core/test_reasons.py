"""Why a level ended: kept as data, in words only when it is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from basetenkit.core.reasons import Stop, StopReason

EACH: dict[StopReason, dict[str, Any]] = {
    StopReason.TIME: {"seconds": 600.0},
    StopReason.FAILURES: {"requests": 50},
    StopReason.OVERLOAD: {"early": 10.0, "late": 20.0},
    StopReason.TOKENS: {},
    StopReason.STOPPED: {"why": "stop() was called"},
    StopReason.NO_ANSWER: {"message": "refused"},
    StopReason.NOT_WRITTEN: {"message": "the disk is full"},
    StopReason.WORKERS_LOST: {},
}


@pytest.mark.parametrize("reason", StopReason)
def test_each_reason_has_its_words_and_comes_back_as_it_was_saved(reason: StopReason) -> None:
    stop = Stop(reason, EACH[reason])
    assert all(
        f"{value:g}" in str(stop) if isinstance(value, float) else str(value) in str(stop)
        for value in stop.fields.values()
    )
    assert Stop.of(json.loads(json.dumps(stop.saved()))) == stop


def test_a_reason_of_a_later_version_is_an_error() -> None:
    with pytest.raises(ValueError, match="moonlight"):
        Stop.of({"reason": "moonlight"})

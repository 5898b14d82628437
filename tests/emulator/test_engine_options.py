from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from basetenkit.emulator.engine_options import ENGINE_HELP, LEAST, EngineOptions, check_least


def test_each_option_has_a_help_text_and_a_least() -> None:
    names = {field.name for field in dataclasses.fields(EngineOptions)}
    assert names == set(ENGINE_HELP) == set(LEAST)


def test_the_model_is_off_by_default() -> None:
    assert not EngineOptions().modelled
    assert EngineOptions(batch_slots=1).modelled
    check_least(EngineOptions(), LEAST)


def test_how_many_replicas_are_there_at_first_and_when_more_start() -> None:
    assert EngineOptions(replicas=3).first_replicas == 3
    assert EngineOptions(replicas=3, warm_replicas=0).first_replicas == 0
    assert EngineOptions(replicas=3, warm_replicas=9).first_replicas == 3
    assert EngineOptions(batch_slots=8).most_per_replica == 8
    assert EngineOptions(batch_slots=8, scale_at=2).most_per_replica == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [({"prefix_block": 0}, "prefix_block is 0"), ({"prefill_tokens_per_s": 0.0}, "prefill_tokens_per_s is 0")],
)
def test_a_number_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_least(EngineOptions(**options), LEAST)

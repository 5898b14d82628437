from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError


def config(**fields: Any) -> bk.RunConfig:
    endpoint = bk.Endpoint(url="http://127.0.0.1:9/x", model="m", headers={"x-team": "research"})
    return bk.RunConfig(endpoint=endpoint, concurrency=[1, 8], slo={"ttft_s": 0.5}, **fields)


CHANGES: list[Callable[[bk.RunConfig], object]] = [
    lambda c: c.concurrency.append("x"),  # type: ignore[arg-type]
    lambda c: c.concurrency.extend([0]),
    lambda c: c.concurrency.sort(),
    lambda c: c.concurrency.__setitem__(0, 3),
    lambda c: c.concurrency.__iadd__([3]),
    lambda c: c.scenarios.clear(),
    lambda c: c.slo.update(ttft_s=-1),
    lambda c: c.slo.__setitem__("tpot", 1),
    lambda c: c.slo.pop("ttft_s"),
    lambda c: c.endpoint.headers.setdefault("x-other", "y"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_in_a_configuration_cannot_be_changed_in_place(change: Callable[[bk.RunConfig], object]) -> None:
    made = config()
    before = made.model_dump_json()
    with pytest.raises(ConfigError, match=r"cannot be changed in place; make a changed copy .*\.with_\(\w+=\.\.\.\)"):
        change(made)
    assert made.model_dump_json() == before


def test_the_sentence_names_the_field() -> None:
    with pytest.raises(ConfigError, match=r"RunConfig\.concurrency: it cannot be changed"):
        config().concurrency.append(2)


def test_they_are_equal_to_plain_ones_and_saved_as_them() -> None:
    made = config()
    assert made.concurrency == [1, 8]
    assert repr(made.concurrency) == "[1, 8]"
    assert json.loads(made.model_dump_json())["slo"] == {"ttft_s": 0.5}
    assert bk.RunConfig.model_validate_json(made.model_dump_json()).concurrency == [1, 8]
    assert made.with_(concurrency=[*made.concurrency, 16]).concurrency == [1, 8, 16]
    assert type(list(made.concurrency)) is list


@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), lambda x: x.model_copy()])
def test_a_copy_is_frozen_too(way: Callable[[bk.RunConfig], bk.RunConfig]) -> None:
    made = way(config())
    assert made == config()
    with pytest.raises(ConfigError):
        made.concurrency.append(2)
    with pytest.raises(ConfigError):
        made.slo.clear()

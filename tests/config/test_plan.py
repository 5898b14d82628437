from __future__ import annotations

from typing import Any

import basetenkit as bk
from basetenkit.config.loads import ClosedLoop, LevelKey, OpenLoop
from basetenkit.config.plan import PlannedLevel, levels_of


def config(**fields: Any) -> bk.RunConfig:
    return bk.RunConfig(endpoint={"url": "http://127.0.0.1:9/v1/chat/completions", "model": "m"}, **fields)


def test_each_repeat_goes_through_all_levels_so_that_repeats_lie_apart() -> None:
    planned = levels_of(config(scenarios=["D(1,1)", "D(2,2)"], concurrency=[1, 8], request_rate=[2.5], repeats=2))
    loads = (ClosedLoop(1), ClosedLoop(8), OpenLoop(2.5))
    one = [LevelKey(scenario, load) for scenario in ("D(1,1)", "D(2,2)") for load in loads]
    assert [level.key for level in planned] == one * 2
    assert [level.repeat for level in planned] == [0] * 6 + [1] * 6
    assert [level.index for level in planned] == list(range(12))
    assert len({(level.key.scenario, level.stream) for level in planned}) == 12


def test_several_batch_sizes_are_levels_whose_scenarios_say_their_own() -> None:
    batches = config(task="text-to-embeddings", scenarios=["E(9)", "1*E(2)+1*E(3)"], batch_size=[1, 8], concurrency=[2])
    texts = ["E(9,1)", "E(9,8)", "1*E(2,1)+1*E(3,1)", "1*E(2,8)+1*E(3,8)"]
    assert [level.key for level in levels_of(batches)] == [LevelKey(text, ClosedLoop(2)) for text in texts]


def test_a_level_knows_its_columns_and_its_label() -> None:
    level = PlannedLevel(3, LevelKey("D(10,4)", ClosedLoop(8)), 1)
    assert level.columns == {"scenario": "D(10,4)", "load": "concurrency", "level": 8.0, "repeat": 1}
    assert (str(level), str(level.scenario)) == ("D(10,4) at concurrency 8, repeat 2", "D(10,4)")
    assert str(PlannedLevel(0, LevelKey("D(10,4)", OpenLoop(2.5)))) == "D(10,4) at 2.5 requests/s"

"""The levels of a run, in the order in which they run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from .loads import ClosedLoop, LevelKey, Load, OpenLoop
from .run_config import RunConfig
from .scenarios import Scenario, parse_scenario


@dataclass(frozen=True, slots=True)
class PlannedLevel:
    """One repeat of one level. `index` counts the levels in the order in which they run."""

    index: int
    key: LevelKey
    repeat: int = 0

    @property
    def scenario(self) -> Scenario:
        return parse_scenario(self.key.scenario)

    @property
    def load(self) -> Load:
        return self.key.load

    @property
    def stream(self) -> str:
        """The name of this level's random numbers: with the same seed, each level and repeat has different ones."""
        return f"{self.load.kind}:{self.load.level:g}:{self.repeat}"

    @property
    def columns(self) -> dict[str, str | float | int]:
        """The columns that identify its rows."""
        return {**self.key.columns, "repeat": self.repeat}

    def __str__(self) -> str:
        return f"{self.key}, repeat {self.repeat + 1}" if self.repeat else str(self.key)


def loads_of(config: RunConfig) -> list[Load]:
    """The loads of a run: closed loops first."""
    return [*map(ClosedLoop, config.concurrency), *map(OpenLoop, config.request_rate)]


def scenarios_of(config: RunConfig) -> list[str]:
    """The scenarios of a run's levels: the config's; with several batch sizes, each scenario with each batch size."""
    if len(config.batch_size) == 1:
        return config.scenarios
    return [str(parse_scenario(text).in_batches(n)) for text in config.scenarios for n in config.batch_size]


def levels_of(config: RunConfig) -> list[PlannedLevel]:
    """The levels of a run in the order in which they run: each repeat includes all levels, so that repeats are apart in time."""
    keys = [LevelKey(scenario, load) for scenario in scenarios_of(config) for load in loads_of(config)]
    every = itertools.product(range(config.repeats), keys)
    return [PlannedLevel(index, key, repeat) for index, (repeat, key) in enumerate(every)]

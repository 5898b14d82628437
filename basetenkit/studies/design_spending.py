"""What a design spends (seconds, requests, tokens, dollars), and how many requests a budget pays for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..analysis.expected import mean_tokens
from ..config.budget import Budget
from ..config.loads import LevelKey, OpenLoop
from ..config.plan import levels_of
from ..config.run_config import RunConfig
from ..config.scenarios import parse_scenario

MOST = 1_000_000
SLACK = 3.0  # a level's time limit over its expected time, as far as the budget has room


@dataclass(frozen=True, slots=True)
class Cost:
    """What a pilot says of the requests of a level: successes per second, the slowest in s, (input, output) tokens of each."""

    per_s: float | None
    slowest_s: float
    tokens: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class LevelSpending:
    """Of a level, all repeats together; None if it is not known."""

    sent: int
    seconds: float | None
    tokens: float | None
    usd: float | None

    def within(self, budget: Budget) -> bool:
        pairs = (
            (self.seconds, None if budget.minutes is None else 60 * budget.minutes),
            (self.sent, budget.requests),
            (self.tokens, budget.tokens),
            (self.usd, budget.usd),
        )
        return all(most is None or spent is None or spent <= most for spent, most in pairs)


@dataclass(frozen=True)
class Spending:
    """A config, a budget, and by level what a request of it costs, if a pilot said so."""

    config: RunConfig
    budget: Budget
    costs: Mapping[str, Cost]

    @property
    def keys(self) -> list[LevelKey]:
        return [level.key for level in levels_of(self.config.with_(repeats=1))]

    def around(self, key: LevelKey, n: int) -> int:
        return (key.load.around(n) if self.config.steady else 0) + self.config.warmup_requests

    def level(self, key: LevelKey, n: int, repeats: int) -> LevelSpending:
        """What a level of `n` measured requests spends in so many repeats. A repeat ends when its slowest request has ended."""
        cost, sent = self.costs.get(str(key)), repeats * (n + self.around(key, n))
        rate = key.load.level if isinstance(key.load, OpenLoop) else None if cost is None else cost.per_s
        seconds = None if not rate else sent / rate + repeats * (cost.slowest_s if cost else 0.0)
        tokens = cost.tokens if cost is not None else mean_tokens(parse_scenario(key.scenario), self.config)
        price, usd = self.config.price, None
        if price is not None and price.dedicated:
            usd = None if seconds is None else price.of_run(seconds)
        elif price is not None and tokens is not None:
            usd = price.of_tokens(sent * tokens[0], sent * tokens[1])
        return LevelSpending(sent, seconds, None if tokens is None else sent * sum(tokens), usd)

    def whole(self, n: int, repeats: int) -> LevelSpending:
        """What all levels spend together."""
        each = [self.level(key, n, repeats) for key in self.keys]

        def total(values: list[float | None]) -> float | None:
            known = [value for value in values if value is not None]
            return sum(known) if len(known) == len(values) else None

        usd = total([one.usd for one in each])
        seconds = total([one.seconds for one in each])
        if self.config.price is not None and self.config.price.dedicated and seconds is not None:
            usd = self.config.price.of_run(seconds)  # rounded up once, not per level
        sent = sum(one.sent for one in each) + self.config.preflight
        return LevelSpending(sent, seconds, total([one.tokens for one in each]), usd)

    def most(self, repeats: int) -> int:
        """The most measured requests per level and repeat that the budget pays for; 0 if not even one."""
        return largest(lambda n: self.whole(n, repeats).within(self.budget), MOST)

    @property
    def bounded(self) -> bool:
        """Whether anything that the budget limits is known beforehand; else only the limits of time and tokens end the run."""
        one, limits = self.whole(1, 1), self.budget
        pairs = (
            (one.seconds, limits.minutes),
            (one.sent, limits.requests),
            (one.tokens, limits.tokens),
            (one.usd, limits.usd),
        )
        return any(spent is not None and most is not None for spent, most in pairs)

    def planned(self, config: RunConfig, n: int, repeats: int) -> RunConfig:
        """The config with limits of time and tokens, so that it cannot go over the budget whatever the endpoint does."""
        levels, fields = len(self.keys) * repeats, dict[str, object]()
        if self.budget.minutes is not None:
            expected = self.whole(n, repeats).seconds
            most = 60 * self.budget.minutes / levels
            fields["max_seconds"] = most if expected is None else min(most, max(SLACK * expected / levels, 1.0))
        if self.budget.tokens is not None:
            fields["max_total_tokens"] = int(self.budget.tokens)
        return config.with_(**fields) if fields else config


def largest(holds: Callable[[int], bool], most: int) -> int:
    """The largest n from 1 to `most` for which something holds that holds for all smaller ones; 0 if it never does."""
    low, high = 0, 1
    while high < most and holds(high):
        low, high = high, 2 * high
    high = min(high, most)
    if holds(high):
        return high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low

"""The search for a capacity: which block comes next, and when to stop. It sends nothing and uses no clock: the caller performs
each `Ask` and hands back a `Block`, on a real endpoint or in virtual time. The same blocks lead to the same asks, so an
interrupted search continues if it gets its earlier blocks again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .capacity import (
    ABOVE,
    BELOW,
    STRONG_TAIL,
    Evidence,
    Posterior,
    changes,
    disagreements,
    pooled_design,
    posterior,
    probability_kept,
    slower_after,
)

WARM_UP_TIMES, WARM_UP_LEAST, WARM_UP_USERS = 3.0, 100, 3
BRACKET, BLOCK_LEAST, BLOCK_MOST, BLOCKS = 60, 300, 1500, 10
LEAST_BLOCKS, LEAST_LOAD, UPWARD = 4, 40.0, 4  # search blocks before it may stop; how far below the first load it goes
NEXT = (0.5, 0.3, 0.7)  # the posterior's quantiles that are asked in turn
REFUTED, KEPT, UNLIKELY, MOST_BLOCKS = 0.05, 0.9, 0.1, 100
LEAST_REST = 0.4  # of a block that is left of the budget
CERTIFICATE_LEAST, ROUGH = 1000, 5000
EDGE, WIDER, DRIFT = 0.02, 4.0, 0.037
Affordable = Callable[[float], float]


class BlockKind(StrEnum):
    """What a block is for."""

    BRACKET = "bracket"
    SEARCH = "search"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Ask:
    """A block to perform: `requests` judged at `load`, after `warm_up` requests that are not. It is given up early if
    `most_bad` or `growing` says so."""

    load: float
    requests: int
    warm_up: int
    kind: BlockKind = BlockKind.SEARCH

    @property
    def total(self) -> int:
        return self.warm_up + self.requests


@dataclass(frozen=True, slots=True)
class Block:
    """The result of an Ask. `p95_s`: the 95th percentile of E2E, in s; None if nothing succeeded. `singles`: how long each single
    request took after it, in any unit."""

    evidence: Evidence
    p95_s: float | None = None
    singles: Sequence[float] = ()


class SearchOutcome(StrEnum):
    """How a search ended."""

    FOUND = "found"
    NONE_KEPT = "none_kept"  # no load that was tried kept the limits
    ALL_KEPT = "all_kept"  # the highest load allowed kept them
    NOT_MONOTONE = "not_monotone"
    NO_DATA = "no_data"


@dataclass(frozen=True)
class Answer:
    """The result of a search. `posterior` is None if there was no bracket. `slower`: how many times as long single requests took
    after an overload as before it, if that is certain."""

    outcome: SearchOutcome
    posterior: Posterior | None
    resolved: bool
    design: float
    certificate: str = "not run"
    drifted: bool = False
    changed: Sequence[tuple[Evidence, Evidence]] = field(default_factory=tuple)
    rough: bool = False
    apart: Sequence[tuple[Evidence, Evidence]] = field(default_factory=tuple)
    slower: float | None = None


@dataclass(frozen=True)
class Rules:
    """The settings of a search. `goodput`: the share of requests that must keep the limits; `ratio`: the 97.5% over the 2.5%
    quantile at which it stops; `users`: whether loads are whole numbers of requests in flight; `low`, `high`: loads between
    which it looks; `budget`, `left`: load -> requests that the whole budget pays for there, and the rest of it."""

    goodput: float
    budget: Affordable
    left: Affordable
    ratio: float = 1.2
    users: bool = False
    low: float | None = None
    high: float | None = None
    certify: bool = True


class Search:
    """One search. `next()` gives the block to perform, or None at the end, when `answer` is there; `take` gets the result of
    the block. `e2e_s`: the median E2E of single requests, in s; `singles`: how long each took, in the blocks' unit."""

    def __init__(self, rules: Rules, e2e_s: float, singles: Sequence[float] = ()) -> None:
        self.rules, self.blocks, self.kinds = rules, list[Evidence](), list[BlockKind]()
        self.now: Posterior | None = None
        self.history: list[Posterior | None] = []
        self.answer: Answer | None = None
        self.slower: float | None = None
        self._singles = singles
        self._p95, self._first = 3 * e2e_s, 1.0 if rules.users else 1 / e2e_s
        self._first = min(max(self._first, rules.low or 0.0), rules.high or math.inf)
        self._budget_over = self._stopped = self._forced = False
        self._steps = self._run()
        self._ask: Ask | None = next(self._steps, None)

    def next(self) -> Ask | None:
        return self._ask

    def take(self, block: Block) -> None:
        """Continues with the result of the last ask."""
        if self._ask is None:
            raise ValueError("the search has ended")
        self.blocks.append(block.evidence)
        self.kinds.append(self._ask.kind)
        if block.evidence.abandoned:
            self.slower = slower_after(
                self._singles, block.singles
            )  # the last overload counts: what the search ends with
        if block.p95_s is not None and not block.evidence.abandoned:
            self._p95 = block.p95_s
        self.history.append(None)
        try:
            self._ask = self._steps.send(block)
        except StopIteration:
            self._ask = None

    def replay(self, loads: Sequence[float], blocks: Sequence[Block]) -> None:
        """Shows the blocks of an earlier part of the same search. ValueError if they do not follow from its settings."""
        self._forced = bool(loads)
        self.blocks, self.kinds, self.history = [], [], []
        self._steps, self.answer, self._budget_over = self._run(), None, False
        self._ask = next(self._steps, None)
        for k, (load, block) in enumerate(zip(loads, blocks, strict=True)):
            if self._ask is None or not math.isclose(self._ask.load, load, rel_tol=1e-9):
                raise ValueError(f"block {k + 1} was at {load:g}, which these settings would not have asked for")
            self._forced = k + 1 < len(blocks)
            self.take(block)

    def stop(self) -> None:
        """Ends the search with the blocks so far: no certificate."""
        self._stopped = True
        self._ask = None
        self.answer = self._conclude()

    def _run(self) -> Generator[Ask, Block, None]:
        bracket = yield from self._bracket()
        if bracket is None:
            self.answer = self._conclude()
            return
        self._low, self._high = bracket
        asked = 0
        last: float | None = None
        while True:
            self.now = self._posterior()
            self.history[-1] = self.now
            if self._enough(self.now, asked):
                break
            ask = self._ask_for(self._next_load(self.now, asked, last), self._block_size, BlockKind.SEARCH)
            if ask is None:
                break
            asked, last = asked + 1, ask.load
            yield ask
        self.answer = self._conclude()
        if self.rules.certify and self.answer.outcome is SearchOutcome.FOUND:
            low = self._rounded(self.now.low, down=True)
            m = max(2 * self._block_size(low), CERTIFICATE_LEAST)
            block = yield Ask(low, m, self._warm_up(low), BlockKind.CERTIFICATE)
            self.answer = self._conclude(block.evidence)

    def _bracket(self) -> Generator[Ask, Block, tuple[float, float] | None]:
        """(a load that was not refuted, one that was); None if the budget is over before."""
        load, kept, lowest = self._first, None, self.rules.low or self._first / LEAST_LOAD
        while True:
            ask = self._ask_for(load, lambda _: BRACKET, BlockKind.BRACKET)
            if ask is None:
                return None
            block = yield ask
            if self._refuted(block.evidence):
                high = load
                if kept is not None:
                    return kept, high
                while not self.rules.users and load / 2 >= lowest:
                    load /= 2
                    ask = self._ask_for(load, lambda _: BRACKET, BlockKind.BRACKET)
                    if ask is None:
                        return None
                    block = yield ask
                    if not self._refuted(block.evidence):
                        return load, high
                    high = load
                yield from self._upward()
                return None
            kept = load
            if self.rules.high is not None and load >= self.rules.high:
                return kept, load
            load = min(2 * load, self.rules.high or math.inf)

    def _upward(self) -> Generator[Ask, Block, None]:
        """No load from the first one down kept the limits: a few above it, for a server that is better when it has more to do."""
        for k in range(1, UPWARD + 1):
            ask = self._ask_for(
                min(self._first * 2**k, self.rules.high or math.inf), lambda _: BRACKET, BlockKind.BRACKET
            )
            if ask is None:
                return
            block = yield ask
            if not self._refuted(block.evidence):
                return

    def _refuted(self, block: Evidence) -> bool:
        return block.abandoned or probability_kept(block, pooled_design(self.blocks), self.rules.goodput) < REFUTED

    def _block_size(self, load: float) -> int:
        return int(min(BLOCK_MOST, max(BLOCK_LEAST, self.rules.budget(load) / BLOCKS)))

    def _warm_up(self, load: float) -> int:
        if self.rules.users:
            return max(WARM_UP_USERS * int(load), WARM_UP_LEAST // 2)
        return math.ceil(max(WARM_UP_TIMES * self._p95 * load, WARM_UP_LEAST))

    def _ask_for(self, load: float, size: Callable[[float], int], kind: BlockKind) -> Ask | None:
        """The block at a load, smaller if the budget ends in it; None if too little of the budget is left."""
        load = self._rounded(load)
        warm_up, m = self._warm_up(load), size(load)
        left = math.inf if self._forced else self.rules.left(load)
        if warm_up + m > left:
            if left - warm_up < LEAST_REST * m:
                self._budget_over = True
                return None
            m = int(left - warm_up)
        return Ask(load, m, warm_up, kind)

    def _rounded(self, load: float, down: bool = False) -> float:
        if not self.rules.users:
            return load
        return float(max(1, math.floor(load) if down else round(load)))

    def _next_load(self, now: Posterior, asked: int, last: float | None) -> float:
        load = self._rounded(now.quantile(NEXT[asked % len(NEXT)]))
        if self.rules.users and load == last:
            up = now.value >= load
            load = load + 1 if up or load == 1 else load - 1
        return min(max(load, self.rules.low or 0.0), self.rules.high or math.inf)

    def _posterior(self) -> Posterior:
        """On a grid that is wide enough: where the mass reaches its end, the grid is made wider."""
        lowest, highest = self._low / BELOW, self._high * ABOVE
        floor = self._first / LEAST_LOAD / BELOW
        for _ in range(6):
            found = posterior(self.blocks, self.rules.goodput, lowest, highest)
            below, above = found.ends
            if below > EDGE and lowest > floor:
                lowest = max(lowest / WIDER, floor)
            elif above > EDGE and self.rules.high is None:
                highest *= ABOVE
            else:
                break
        return found

    def _enough(self, now: Posterior, asked: int) -> bool:
        if asked < LEAST_BLOCKS:
            return False
        if asked >= MOST_BLOCKS or self._all_kept(now):
            return True
        if now.high / now.low < self.rules.ratio:
            return True
        return self.rules.users and now.high - now.low <= 1

    def _all_kept(self, now: Posterior) -> bool:
        """Whether the capacity is hardly below the highest load allowed."""
        return self.rules.high is not None and float(now.mass[now.loads < self.rules.high].sum()) < UNLIKELY

    def _conclude(self, certificate: Evidence | None = None) -> Answer:
        design, n = pooled_design(self.blocks), sum(block.n for block in self.blocks)
        found = self.now
        if found is None:
            outcome = self._without_bracket()
            apart = self._better_above() if outcome is SearchOutcome.NOT_MONOTONE else []
            return Answer(outcome, None, False, design, rough=n < ROUGH, apart=apart, slower=self.slower)
        apart = disagreements(self.blocks, STRONG_TAIL)
        outcome = SearchOutcome.FOUND
        if apart:
            outcome = SearchOutcome.NOT_MONOTONE
        elif all(map(self._refuted, self.blocks)) or found.low < min(block.load for block in self.blocks):
            outcome = SearchOutcome.NONE_KEPT
        elif self._all_kept(found):
            outcome = SearchOutcome.ALL_KEPT
        resolved = found.high / found.low < self.rules.ratio or (self.rules.users and found.high - found.low <= 1)
        changed = [*changes(self.blocks), *disagreements(self.blocks)]
        drifted = (found.shift > DRIFT and n >= ROUGH) or bool(changed)  # its prior mean is above DRIFT
        shown = "not run"
        if certificate is not None:
            q = probability_kept(certificate, design, self.rules.goodput)
            kept = q >= KEPT and not certificate.abandoned and not drifted
            shown = "kept" if kept else "not kept" if q < REFUTED else "not shown"
        given = resolved and outcome is SearchOutcome.FOUND
        return Answer(outcome, found, given, design, shown, drifted, changed, n < ROUGH, apart, self.slower)

    def _without_bracket(self) -> SearchOutcome:
        """Why there is no interval."""
        refuted = [self._refuted(block) for block in self.blocks]
        if not any(refuted):
            kept = bool(self.blocks) and self.rules.high in [block.load for block in self.blocks]
            return SearchOutcome.ALL_KEPT if kept else SearchOutcome.NO_DATA
        if all(refuted):
            return SearchOutcome.NONE_KEPT
        return SearchOutcome.NOT_MONOTONE if self._better_above() else SearchOutcome.NO_DATA

    def _better_above(self) -> list[tuple[Evidence, Evidence]]:
        """(the first block, one at a higher load), if the first was refuted and the other was not."""
        first = self.blocks[0]
        above = [block for block in self.blocks if block.load > first.load and not self._refuted(block)]
        return [(first, block) for block in above] if self._refuted(first) else []


def most_bad(ask: Ask, goodput: float) -> float:
    """So many bad requests, counted from the middle of the warm-up on, end a block early."""
    return 3 * (1 - goodput) * ask.requests + 20


def kept_of_abandoned(ask: Ask, sent: int) -> int:
    """How many of the first requests of an abandoned block, of which `sent` were sent, do not count."""
    return min(ask.warm_up, max(ask.warm_up // 2, sent // 2))

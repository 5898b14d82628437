"""What a comparison of two endpoints in turns found: the verdict, tables, words and a chart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from ..analysis.compared import (
    Compared,
    ComparisonStatus,
    ComparisonVerdict,
    DifferenceEvidence,
    change,
    changes,
    ratio_text,
)
from ..analysis.comparison_verdict import values
from ..analysis.metrics import METRICS
from ..analysis.verdict_sentences import SHORT
from ..config.loads import LevelKey
from ..config.plan import loads_of
from ..config.run_config import RunConfig
from ..core.tables import digits, show
from ..core.types import Estimate
from ..runs import Run
from ..stats.paired import DIFFERS, EQUAL, P95, PairVerdict

if TYPE_CHECKING:
    import altair as alt

LEAST_PAIRS, LEAST_SECONDS, LEAST_WAVES = 10, 30.0, 3


@dataclass(frozen=True, repr=False)
class EndpointComparison(Compared):
    """What `compare_endpoints` found.

    Attributes
    ----------
    metric : the metric that the verdict is about, chosen in advance.
    verdict : whether B differs from A in it, in one to three sentences; `.status` is "differs", "equal within the margin" or "not
        enough data", `.evidence` its figures.
    frame : one row per metric and test: `ratio` (b / a) with `low` and `high` (95%), `low_90` and `high_90` (90%, which decide
        whether both are equal), `pairs`, `verdict`, `more_pairs`.
    blocks : one row per block, in the order in which they ran; times in s.
    control : the same frame for A against A, if it was asked for.
    words : what a reader of the figures must know.
    runs : the run of each block.
    """

    metric: str
    verdict: ComparisonVerdict
    frame: pl.DataFrame
    blocks: pl.DataFrame
    control: pl.DataFrame | None
    words: list[str]
    runs: list[Run]

    def table_rows(self) -> dict[str, Sequence[Mapping[str, object]]]:
        """B against A, and A against A if there is a control: one row per metric and test."""
        tables: dict[str, Sequence[Mapping[str, object]]] = {}
        tables |= {"B against A, over pairs of blocks": self._rows(self.frame, "B", "B")}
        if self.control is not None:
            tables["Control: A against A, in which nothing differs"] = self._rows(self.control, "A'", "A again")
        return tables

    def _rows(self, frame: pl.DataFrame, second: str, title: str) -> list[dict[str, object]]:
        rows = []
        for row in frame.iter_rows(named=True):
            shown: dict[str, object] = {"metric": METRICS[row["metric"]].title, "of": row["of"]}
            if row["of"] == "block means":
                means = [_mean(self.blocks, row["metric"], block) for block in ("A", second)]
            else:
                means = ["–", "–"]
            shown |= dict(zip(("A", title), means, strict=True))
            ends = [ratio_text(row[name]) for name in ("low", "high")]
            shown["b / a (95% interval)"] = ratio_text(row["ratio"]) + (
                "" if row["low"] is None else f" ({ends[0]} to {ends[1]})"
            )
            shown |= {"verdict": row["verdict"], "pairs": row["pairs"]}
            rows.append(shown | {"more pairs needed": show(row["more_pairs"] or None)})
        return rows

    def frames(self) -> dict[str, pl.DataFrame]:
        """`frame`, `control` and `blocks` by name."""
        control = {} if self.control is None else {"Control": self.control}
        return {"Tests": self.frame, **control, "Blocks": self.blocks}

    def chart(self, metric: str | None = None) -> alt.Chart:
        """The blocks in the order in which they ran, and beside them the ratio of each pair: an altair chart.

        `metric`: ttft_s, tpot_s, e2e_s or output_tokens_per_s; None: that of the verdict.
        """
        from .comparing_chart import draw

        return draw(self, metric or self.metric)


def unit_of(metric: str) -> tuple[float, str]:
    """(factor, unit) in which a metric is shown."""
    return (1.0, "tokens/s") if metric == "output_tokens_per_s" else (1e3, "ms")


def _mean(blocks: pl.DataFrame, metric: str, block: str) -> str:
    """The mean of a metric over the blocks of one side, in its unit."""
    mean = blocks.filter(block=block)[f"{metric}_mean"].mean()
    factor, unit = unit_of(metric)
    return "–" if not isinstance(mean, float) else f"{digits(mean * factor)} {unit}"


def framed(found: Sequence[PairVerdict]) -> pl.DataFrame:
    """One row per metric and test."""
    names = ("ratio", "low", "high", "low_90", "high_90")
    return pl.DataFrame(
        [v.as_row() for v in found], schema_overrides={**dict.fromkeys(names, pl.Float64()), "more_pairs": pl.Int64()}
    )


def verdict_of(
    main: PairVerdict,
    margin: float,
    config: RunConfig,
    blocks: pl.DataFrame,
    control: Sequence[PairVerdict],
    below: Sequence[str],
) -> ComparisonVerdict:
    """The verdict on `main`; `control`: A against A; `below`: in what the design is below the rule."""
    evidence = _evidence(main, config, blocks)
    status = {DIFFERS: ComparisonStatus.DIFFERS, EQUAL: ComparisonStatus.EQUAL}.get(
        main.verdict, ComparisonStatus.UNDECIDED
    )
    sentences = [_answer(main, margin, evidence)]
    if any(v.verdict == DIFFERS and v.metric == main.metric and v.of == main.of for v in control):
        sentences.append("A against A differs as well, so do not trust this result.")
    sentences += _failed(blocks)
    if below:
        sentences.append(f"The design is below the rule ({'; '.join(below)}): take it as a trial of the method.")
    return ComparisonVerdict(status, (sentences[0], *sentences[1:][-2:]), (evidence,))


def _evidence(v: PairVerdict, config: RunConfig, blocks: pl.DataFrame) -> DifferenceEvidence:
    (load,) = loads_of(config)
    means = [blocks.filter(block=name)[f"{v.metric}_mean"].mean() for name in ("A", "B")]
    a, b = (Estimate(x if isinstance(x, float) else None) for x in means)
    return DifferenceEvidence(v.metric, LevelKey(config.scenarios[0], load), a, b, Estimate(v.ratio, v.low, v.high))


def _answer(v: PairVerdict, margin: float, evidence: DifferenceEvidence) -> str:
    name = "throughput" if v.metric == "output_tokens_per_s" else SHORT[v.metric]
    if v.ratio is None or v.low is None or v.high is None:
        return f"Not enough data: {v.pairs} pairs of blocks have a {name} in both."
    size = f"B's {name} is {change(v.ratio)}"
    over = f"{changes(v.low, v.high)}; {values(evidence)}, over {v.pairs} pairs of blocks"
    if v.verdict == DIFFERS:
        small = f", which is less than the margin of {margin:.0%}" if v.within else ""
        return f"They differ: {size}{small} (95% interval {over})."
    if v.verdict == EQUAL:
        decides = f"the 90% interval, which decides this, is {changes(v.low_90 or 1, v.high_90 or 1)}"
        return f"Equal within the margin of {margin:.0%}: {size}; {decides} (95% interval {over})."
    more = "No reasonable number of further pairs" if v.more_pairs is None else f"About {v.more_pairs} more pairs"
    return f"Not enough data: {size} (95% interval {over}). {more} would decide it."


def _failed(blocks: pl.DataFrame) -> list[str]:
    counts = blocks.group_by("block").agg(pl.col("sent").sum(), bad=pl.col("sent").sum() - pl.col("ok").sum())
    bad = {row["block"]: row for row in counts.iter_rows(named=True) if row["bad"] and row["block"] in ("A", "B")}
    told = [f"{bad[name]['bad']:,} of {name}'s {bad[name]['sent']:,} requests" for name in sorted(bad)]
    return [f"Failed: {' and '.join(told)}."] if told else []


def below_the_rule(blocks: pl.DataFrame, config: RunConfig, pairs: int, n: int) -> list[str]:
    """In what a design is below the rule, with the rule; `n`: requests per block."""
    below = [f"{pairs} pairs, at least {LEAST_PAIRS} are needed"] if pairs < LEAST_PAIRS else []
    shortest = blocks["seconds"].min()
    if isinstance(shortest, float) and shortest < LEAST_SECONDS:
        below.append(f"blocks of {shortest:.1f} s, at least {LEAST_SECONDS:.0f} s")
    least = math.ceil(LEAST_WAVES * in_flight(config))
    if config.concurrency and n < least:
        below.append(f"{n} requests per block, at least {least}")
    return below


def in_flight(config: RunConfig) -> float:
    """C of a closed loop; an open one has none, but its first requests still meet an idle server: those of one second."""
    return float(config.concurrency[0] if config.concurrency else max(config.request_rate[0], 1.0))


def words_of(blocks: pl.DataFrame, margin: float) -> Iterator[str]:
    """What a reader of the tables must know."""
    if (blocks["sent"] > blocks["ok"]).any():
        yield "Latencies are of the requests that succeeded, in each endpoint a different part."
    yield (
        "Pairing takes out what both endpoints share, and cannot see a drift that only one of them had while this went on. "
        f"One metric has the verdict; the others are for information. Intervals are 95%; the 90% interval within the margin of "
        f"{margin:.0%} shows that both are equal (two one-sided tests at 5%)."
    )
    yield f"p95 is of the pooled requests, tested by swapping labels within pairs ({P95} swaps)."

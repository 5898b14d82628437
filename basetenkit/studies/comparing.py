"""Is B faster than A, or is it noise? Pairs of short blocks in random order, each pair with the same prompts and lengths.

Requests of a block share waves and whatever else the server does, so a block is one observation: the test is on the mean
over pairs of the log ratio of two block means (t), and of the pooled p95 by swapping the labels within pairs. A drift that
both endpoints share falls out of a pair; one that only one of them has does not, and no pairing can see it: the sentence is
"differed in this comparison". Endpoints are called equal only if the difference is shown to lie within a margin (two
one-sided tests; Schuirmann 1987): that no difference was found is not that there is none.
"""

from __future__ import annotations

import math
import random
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ..analysis.metrics import METRICS, headline
from ..config.coercions import metric_name
from ..config.plan import loads_of
from ..config.run_config import RunConfig
from ..core.errors import ConfigError
from ..core.pending import awaited
from ..core.progress import ProgressLine
from ..core.tables import Html, html_table, stacked
from ..core.types import NewRow
from ..execution.waiting import wait_for
from ..runs import Run
from ..session import start
from ..stats.paired import EQUAL, MORE, P95, PairVerdict, judge_means, judge_p95
from ..storage.address import Place, Storage, as_place

LEAST_PAIRS, LEAST_SECONDS, LEAST_WAVES = 10, 30.0, 3
TESTED = ("ttft_s", "tpot_s", "e2e_s", "output_tokens_per_s")
MAY_DIFFER = {"endpoint", "request_params", "tokenizer", "slo", "capture", "capture_limit_mb", "salt", "seed"}


@dataclass(frozen=True)
class EndpointComparison:
    """What `compare_endpoints` returns. `verdict`: "differs", "equal within the margin" or "not enough data", about `metric`;
    `sentence` is the verdict as text, with how many more pairs would be enough. `frame`: one row per metric and test: `ratio`
    (b / a) with `low` and `high` (95%), `pairs`, `verdict`, `more_pairs`. `blocks`: one row per block, in the order in which
    they ran. `control`: the same frame for A against A, if requested. `words`: notes to read with the figures."""

    metric: str
    verdict: str
    sentence: str
    frame: pl.DataFrame
    blocks: pl.DataFrame
    control: pl.DataFrame | None
    words: list[str]
    runs: list[Run]

    def _table(self, frame: pl.DataFrame, caption: str) -> Html:
        rows = []
        for row in frame.iter_rows(named=True):
            interval = "–" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
            ratio = None if row["ratio"] is None else f"{row['ratio']:.3f}"
            shown = {"metric": row["metric"], "of": row["of"], "b / a": ratio, "95% interval": interval}
            rows.append(
                shown | {"verdict": row["verdict"], "pairs": row["pairs"], "more pairs needed": row["more_pairs"]}
            )
        return html_table(rows, caption)

    def _tables(self) -> list[Html]:
        tables = [self._table(self.frame, self.sentence)]
        if self.control is not None:
            tables.append(self._table(self.control, "Control: A against A, in which nothing differs"))
        return tables

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        parts = [*self._tables(), html_table([{"to be read with it": w} for w in self.words])]
        return {"text/html": stacked(*parts), "text/plain": repr(self)}

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def __repr__(self) -> str:
        return "\n".join([*(repr(t) for t in self._tables()), *self.words])


@awaited("bk.compare_endpoints(...)", "bk.compare_endpoints_sync(...) if nothing can be awaited")
async def compare_endpoints(
    config_a: RunConfig,
    config_b: RunConfig,
    *,
    pairs: int = 20,
    block_seconds: float = LEAST_SECONDS,
    block_requests: int | None = None,
    margin: float = 0.05,
    metric: str = "e2e_s",
    control: bool = False,
    seed: int = 0,
    save_to: Place | None = None,
    cluster: object = None,
) -> EndpointComparison:
    """Measures two endpoints in `pairs` pairs of blocks, A and B in random order, and returns whether they differ; await it in
    a cell.

    The configs may differ in endpoint, request parameters and tokenizer. The load must be the same: one scenario and one level,
    with C requests in flight. `block_requests`: requests per block; None: the number that takes the faster endpoint
    `block_seconds`, measured with one pilot block each, which is not used otherwise, and at least 3C. The first C requests of a
    block are left out. `margin`: the largest relative difference that does not matter to you. `metric`: the metric of the
    verdict (ttft_s, tpot_s, e2e_s or output_tokens_per_s). `control`: whether each pair has a second block of A, which measures
    A against A. `save_to`: a new folder, here or in a bucket, with one run per block; `cluster`: as in `bk.run`. A failure of
    an endpoint raises no error; ConfigError if the design is impossible.
    """
    metric = metric_name(metric, TESTED) or metric
    _check(config_a, config_b, pairs, margin, metric, block_requests)
    config_a, config_b = config_a.with_whole_url(), config_b.with_whole_url()  # said once, not at each block
    configs = {"A": config_a, "B": config_b} | ({"A'": config_a} if control else {})
    same_place = config_a.endpoint.url == config_b.endpoint.url and config_a.endpoint.model == config_b.endpoint.model
    root = None if save_to is None else as_place(save_to, "compare_endpoints: save_to")
    n = block_requests or await _pilot(config_a, config_b, block_seconds, cluster)
    runs: list[Run] = []
    rows = []
    async for pair, name, run in _blocks(configs, pairs, n, seed, same_place, root, cluster):
        runs.append(run)
        rows.append(_block(pair, name, run))
    values = {(row["pair"], row["block"]): _observed(run) for row, run in zip(rows, runs, strict=True)}
    blocks = pl.DataFrame(rows)
    found = _judge(values, "A", "B", pairs, margin, seed)
    of_control = _frame(_judge(values, "A", "A'", pairs, margin, seed)) if control else None
    main = next(v for v in found if v.metric == metric and v.of == "block means")
    words = list(_words(blocks, config_a, pairs, margin, n))
    return EndpointComparison(
        metric, main.verdict, _sentence(main, margin), _frame(found), blocks, of_control, words, runs
    )


def compare_endpoints_sync(config_a: RunConfig, config_b: RunConfig, **options: Any) -> EndpointComparison:
    """`compare_endpoints` for a script, or for a cell that cannot await. It blocks the calling thread."""
    return wait_for(lambda: compare_endpoints(config_a, config_b, **options))


def _check(a: RunConfig, b: RunConfig, pairs: int, margin: float, metric: str, block_requests: int | None) -> None:
    for name, config in (("config_a", a), ("config_b", b)):
        if not isinstance(config, RunConfig):
            raise ConfigError(f"compare_endpoints: {name} is a {type(config).__name__}; give a RunConfig")
    levels = (len(a.concurrency) + len(a.request_rate)) * len(a.batch_size)
    if len(a.scenarios) != 1 or levels != 1:
        raise ConfigError(
            f"compare_endpoints: one scenario and one level at a time, not {len(a.scenarios)} and {levels}; e.g. "
            "scenarios='D(100,100)', concurrency=8"
        )
    differ = [k for k in RunConfig.model_fields if k not in MAY_DIFFER and getattr(a, k) is not getattr(b, k)]
    differ = [k for k in differ if a.model_dump(include={k}) != b.model_dump(include={k})]
    if differ:
        raise ConfigError(f"compare_endpoints: the configs differ in {', '.join(differ)}; both need the same load")
    if pairs < 2:
        raise ConfigError(f"compare_endpoints: pairs={pairs}; 2 at least, and {LEAST_PAIRS} by the rule")
    if not 0 < margin < 1:
        raise ConfigError(f"compare_endpoints: margin={margin}; a share between 0 and 1, e.g. 0.05 for 5%")
    if metric not in TESTED:
        raise ConfigError(f"compare_endpoints: metric={metric!r}; one of {', '.join(TESTED)}")
    least = int(_in_flight(a)) + 2
    if block_requests is not None and block_requests < least:
        raise ConfigError(
            f"compare_endpoints: block_requests={block_requests}; {least} at least: the first C are dropped"
        )


def _in_flight(config: RunConfig) -> float:
    """C of a closed loop; an open one has none, but its first requests still meet an idle server: those of one second."""
    return float(config.concurrency[0] if config.concurrency else max(config.request_rate[0], 1.0))


def _as_block(config: RunConfig, n: int, seed: int, salt: str) -> RunConfig:
    update = {
        "max_requests": n,
        "seed": seed,
        "salt": salt,
        "repeats": 1,
        "warmup_requests": 0,
        "max_total_tokens": None,
        "steady": False,  # pairs of blocks share their lengths, and the first C of each are dropped
        "until": {},
    }
    return config.model_copy(update=update)


async def _pilot(a: RunConfig, b: RunConfig, seconds: float, cluster: object) -> int:
    """Requests a block, so that the faster of the two is busy for `seconds`; both have met the load after it."""
    least = math.ceil(LEAST_WAVES * _in_flight(a))
    most = 0.0
    for config in (a, b):
        run = await _run(_as_block(config, max(least, 10), config.seed, secrets.token_hex(8)), None, cluster)
        ok = run.requests.filter(pl.col("outcome") == "ok")
        took = ok["end_s"].max()
        if isinstance(took, float) and took > 0:
            most = max(most, ok.height / took)
    return max(least, math.ceil(most * seconds), math.ceil(_in_flight(a)) + 2)


async def _blocks(
    configs: dict[str, RunConfig],
    pairs: int,
    n: int,
    seed: int,
    apart: bool,
    root: Path | Storage | None,
    cluster: object,
) -> AsyncIterator[tuple[int, str, Run]]:
    """Every block, run: its pair, its name, its Run. The blocks of a pair have the same prompts; where they go to the same
    place (`apart`, and A's control) they have the same lengths and other words: else the first would fill the second's cache."""
    order, alive = random.Random(seed), set[str]()  # those that have answered need no preflight before each block
    line = ProgressLine()
    for pair in range(pairs):
        salt = secrets.token_hex(8)
        for name in order.sample(list(configs), len(configs)):
            own = f"{salt}{name}" if apart or name == "A'" else salt
            folder = None if root is None else root / f"{pair:03d}-{name.replace(chr(39), '-control')}"
            block = _as_block(configs[name], n, seed + pair, own)
            block = block.model_copy(update={"preflight": block.preflight and name not in alive})
            run = await _run(block, folder, cluster, line, f"pair {pair + 1} of {pairs}, {name}")
            if (run.requests["outcome"] == "ok").any():
                alive.add(name)
            yield pair, name, run


async def _run(
    config: RunConfig, folder: Path | Storage | None, cluster: object, line: ProgressLine | None = None, where: str = ""
) -> Run:
    live = start(config, save_to=folder, cluster=cluster)
    try:
        while not live.done:
            if line is not None:
                line.show(live.progress | {"level": where})
            await live.wait_async(0.25)
        return live.result()
    finally:
        if not live.done:
            live.stop("the comparison was cancelled")
            live.wait(5)


def _observed(run: Run) -> dict[str, list[float]]:
    """Of each tested metric the values of a block's successes, less its first C by start; of a throughput the one value."""
    rows = run.requests.sort("start_s", nulls_last=True)
    skip = math.ceil(_in_flight(run.config))
    ok = rows[skip:].filter(pl.col("outcome") == "ok")
    (load,) = loads_of(run.config)
    out = {}
    for name in TESTED[:-1]:
        out[name] = ok.select(x=METRICS[headline(name, load.kind)].expression)["x"].drop_nulls().to_list()
    out[TESTED[-1]] = list(_throughput(rows, skip))
    return out


def _throughput(rows: pl.DataFrame, skip: int) -> Iterator[float]:
    """Output tokens per second of the requests that ended between the start of the first request that counts and that of the last
    one, so that neither the start nor the drain is in it; nothing if a success's tokens are not known."""
    ok = rows.filter(pl.col("outcome") == "ok")
    if rows.height <= skip + 1 or ok["output_tokens"].null_count():
        return
    first, last = rows["start_s"][skip], rows["start_s"][-1]
    inside = ok.filter((pl.col("end_s") > first) & (pl.col("end_s") <= last))
    if inside.height and last > first:
        yield float(inside["output_tokens"].sum()) / (last - first)


def _block(pair: int, name: str, run: Run) -> NewRow:
    rows = run.requests
    ends = rows["end_s"].max()
    seen = {f"{k}_mean": sum(v) / len(v) if v else None for k, v in _observed(run).items()}
    about = {"pair": pair, "block": name, "started_at": rows["started_at"].min(), "seconds": ends, "sent": rows.height}
    return about | {"ok": int((rows["outcome"] == "ok").sum())} | seen


def _judge(
    values: dict[tuple[int, str], dict[str, list[float]]], a: str, b: str, pairs: int, margin: float, seed: int
) -> list[PairVerdict]:
    """Each metric by its block means, each latency by its pooled p95 too."""
    found = []
    for metric in TESTED:
        both = [
            (values[i, a][metric], values[i, b][metric]) for i in range(pairs) if (i, a) in values and (i, b) in values
        ]
        both = [(x, y) for x, y in both if x and y]
        found.append(judge_means(metric, both, margin))
        if metric != TESTED[-1]:
            found.append(judge_p95(metric, both, margin, seed))
    return found


def _frame(found: list[PairVerdict]) -> pl.DataFrame:
    numbers = dict.fromkeys(("ratio", "low", "high"), pl.Float64())
    return pl.DataFrame([v.as_row() for v in found], schema_overrides={**numbers, "more_pairs": pl.Int64()})


def _sentence(v: PairVerdict, margin: float) -> str:
    title = METRICS[v.metric].title
    if v.ratio is None or v.low is None or v.high is None:
        return f"Not enough data: {v.pairs} pair(s) have a {title.lower()} in both blocks."
    size = f"{title}: B / A = {v.ratio:.3f} ({v.low:.3f} to {v.high:.3f}) over {v.pairs} pairs"
    if v.verdict == MORE:
        more = "more pairs than are worth having" if v.more_pairs is None else f"about {v.more_pairs} more pair(s)"
        return f"Not enough data. {size}; {more} would decide it."
    if v.verdict == EQUAL:
        return f"Equal within the margin of {margin:.0%}. {size}."
    small = f", though by less than the margin of {margin:.0%}" if v.within else ""
    return f"Differed in this comparison{small}. {size}."


def _words(blocks: pl.DataFrame, config: RunConfig, pairs: int, margin: float, n: int) -> Iterator[str]:
    below = [f"{pairs} pairs (by the rule {LEAST_PAIRS})"] if pairs < LEAST_PAIRS else []
    shortest = blocks["seconds"].min()
    if isinstance(shortest, float) and shortest < LEAST_SECONDS:
        below.append(f"blocks of {shortest:.1f} s (by the rule {LEAST_SECONDS:.0f} s)")
    if config.concurrency and n < LEAST_WAVES * _in_flight(config):
        below.append(f"{n} requests per block (by the rule {math.ceil(LEAST_WAVES * _in_flight(config))})")
    if below:
        yield f"The design is below the rule: {', '.join(below)}. Take the verdict for a trial of the method."
    failed = (
        blocks.group_by("block").agg(pl.col("sent").sum(), n=pl.col("sent").sum() - pl.col("ok").sum()).sort("block")
    )
    if failed["n"].sum():
        told = ", ".join(f"{row['n']} of {row['sent']} of {row['block']}'s" for row in failed.iter_rows(named=True))
        yield f"Requests that did not succeed: {told}. Latencies are of those that did, in each endpoint another part."
    yield (
        "Pairing takes out what both endpoints share, and cannot see a drift that only one of them had while this went on. "
        f"One metric has the verdict; the others are for information. Margin {margin:.0%}, intervals 95%."
    )
    yield f"p95 is of the pooled requests, tested by swapping labels within pairs ({P95} swaps)."

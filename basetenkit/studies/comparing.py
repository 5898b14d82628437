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
from ..core.types import JsonObject, NewRow
from ..execution.waiting import wait_for
from ..runs import Run
from ..session import start
from ..stats.paired import PairVerdict, judge_means, judge_p95
from ..storage.address import Place, Storage, as_place
from .comparing_result import (
    LEAST_PAIRS,
    LEAST_SECONDS,
    LEAST_WAVES,
    EndpointComparison,
    below_the_rule,
    framed,
    in_flight,
    verdict_of,
    words_of,
)

TESTED = ("ttft_s", "tpot_s", "e2e_s", "output_tokens_per_s")
MAY_DIFFER = {"endpoint", "request_params", "tokenizer", "slo", "capture", "capture_limit_mb", "salt", "seed"}


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
    of_control = _judge(values, "A", "A'", pairs, margin, seed) if control else []
    main = next(v for v in found if v.metric == metric and v.of == "block means")
    below = below_the_rule(blocks, config_a, pairs, n)
    verdict = verdict_of(main, margin, config_a, blocks, of_control, below)
    words = list(words_of(blocks, margin))
    return EndpointComparison(
        metric, verdict, framed(found), blocks, framed(of_control) if control else None, words, runs
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
    least = int(in_flight(a)) + 2
    if block_requests is not None and block_requests < least:
        raise ConfigError(
            f"compare_endpoints: block_requests={block_requests}; {least} at least: the first C are dropped"
        )


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
    least = math.ceil(LEAST_WAVES * in_flight(a))
    most = 0.0
    for config in (a, b):
        run = await _run(_as_block(config, max(least, 10), config.seed, secrets.token_hex(8)), None, cluster)
        ok = run.requests.filter(pl.col("outcome") == "ok")
        took = ok["end_s"].max()
        if isinstance(took, float) and took > 0:
            most = max(most, ok.height / took)
    return max(least, math.ceil(most * seconds), math.ceil(in_flight(a)) + 2)


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
    order, alive, done = (
        random.Random(seed),
        set[str](),
        0,
    )  # those that have answered need no preflight before each block
    line, whole = ProgressLine(), {"level": "blocks", "planned": pairs * len(configs)}
    for pair in range(pairs):
        salt = secrets.token_hex(8)
        for name in order.sample(list(configs), len(configs)):
            own = f"{salt}{name}" if apart or name == "A'" else salt
            folder = None if root is None else root / f"{pair:03d}-{name.replace(chr(39), '-control')}"
            block = _as_block(configs[name], n, seed + pair, own)
            block = block.model_copy(update={"preflight": block.preflight and name not in alive})
            told = whole | {"finished": done, "text": f"pair {pair + 1} of {pairs}, block {name}"}
            run = await _run(block, folder, cluster, line, told)
            done += 1
            if (run.requests["outcome"] == "ok").any():
                alive.add(name)
            yield pair, name, run
    line.close(whole | {"finished": done, "text": f"{pairs} pairs of blocks done"})


async def _run(
    config: RunConfig,
    folder: Path | Storage | None,
    cluster: object,
    line: ProgressLine | None = None,
    told: JsonObject | None = None,
) -> Run:
    live = start(config, save_to=folder, cluster=cluster)
    try:
        while not live.done:
            if line is not None and told is not None:
                now = live.progress
                line.show(told | {"text": f"{told['text']}: {now['finished']} of {now['planned']} requests"})
            await live.wait_async(0.25)
        return live.result()
    finally:
        if not live.done:
            live.stop("the comparison was cancelled")
            live.wait(5)


def _observed(run: Run) -> dict[str, list[float]]:
    """Of each tested metric the values of a block's successes, less its first C by start; of a throughput the one value."""
    rows = run.requests.sort("start_s", nulls_last=True)
    skip = math.ceil(in_flight(run.config))
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

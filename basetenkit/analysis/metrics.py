"""The definition of each metric: its column or expression, unit, formula, source, and whether higher or lower is better.

Latencies are those of successful requests in the measured window. Open loops have each latency twice, from the send and from
when the request was due (`_due_s`). The latter is shown first, because a user waits from the moment of asking. A request that
timed out, or was cut when its level ended, is known to have taken longer. Percentiles then come from a survival curve in which
such requests are censored values, and means are restricted means. Without these requests a slow server would look fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
from numpy.typing import NDArray

from ..config.loads import OpenLoop
from ..core.types import Estimate, Outcome
from ..results.pace import AT_ONCE_S, LATE_SHARE, MANY_TOKENS
from ..results.schema import OPEN_LOOP
from ..stats import intervals as st
from ..stats.survival import censored_quantile

WORDS = (
    "text",
    "notes",
    "warnings",
    "error_message",
)  # no figure is made of them, and each sort of the rows would copy them
AROUND = ("preflight", "ramp", "cooldown")  # phases of requests that were sent around the planned ones
PERCENTILES = (50, 90, 95, 99)
Values = NDArray[Any]
OUTCOMES = [str(o) for o in Outcome]


@dataclass(frozen=True, slots=True)
class Metric:
    """One definition. `expression` is over the rows of `run.requests` (over `run.chunks` if `kind` is "chunk")."""

    name: str
    title: str
    unit: str
    expression: pl.Expr
    formula: str
    source: str
    better: str
    kind: str


def _since_due(name: str) -> pl.Expr:
    """A latency from when its request was due; null in a closed loop, which has no due times."""
    return pl.when(OPEN_LOOP).then(pl.col(name) + pl.col("sent_s") - pl.col("scheduled_s"))


_c = pl.col
TEXT_TOKENS = pl.min_horizontal("output_tokens", "output_tokens_client")  # without hidden reasoning and other choices
# All tokens of a response came at one moment. If the clock's bound is wide, this client read them late, and it is unknown.
ONE_MOMENT = (
    (_c("e2e_s") - _c("ttft_s")).is_between(0, AT_ONCE_S * TEXT_TOKENS)
    & (_c("ttft_error_s").fill_null(0.0) <= LATE_SHARE * _c("e2e_s"))
).fill_null(False)
# If they are many, something held the response back, so its TTFT, TPOT and speed are not the model's.
AT_ONCE = ((TEXT_TOKENS >= MANY_TOKENS) & ONE_MOMENT).fill_null(False)


def _streamed(value: pl.Expr) -> pl.Expr:
    """A figure of those responses only that came as they were made."""
    return pl.when(~AT_ONCE).then(value)


# fmt: off
# name, title, unit, expression, formula, source, better, kind
_DEFINITIONS: list[tuple[str, str, str, pl.Expr, str, str, str, str]] = [
    ("ttft_s", "Time to first token", "s", _streamed(_c("ttft_s")), "first output event - send", "arrivals", "lower", "latency"),
    ("first_content_s", "Time to first content", "s",
     _streamed(_c("first_content_s")), "first content - send", "arrivals", "lower", "latency"),
    ("tpot_s", "Time per output token", "s",
     _streamed(_c("tpot_s")), "(E2E - TTFT) / (tokens that came after the first moment)", "arrivals, tokens", "lower", "latency"),
    ("itl_s", "Inter-token latency", "s",
     _c("arrival_s").diff(), "gap between output chunks", "arrivals", "lower", "chunk"),
    ("e2e_s", "End-to-end latency", "s", _c("e2e_s"), "last output event - send", "arrivals", "lower", "latency"),
    ("ttft_due_s", "Time to first token, from when it was due", "s",
     _streamed(_since_due("ttft_s")), "first output event - due (open loop)", "arrivals, schedule", "lower", "latency"),
    ("first_content_due_s", "Time to first content, from when it was due", "s",
     _streamed(_since_due("first_content_s")), "first content - due (open loop)", "arrivals, schedule", "lower", "latency"),
    ("e2e_due_s", "End-to-end latency, from when it was due", "s",
     _since_due("e2e_s"), "last output event - due (open loop)", "arrivals, schedule", "lower", "latency"),
    ("output_latency_s", "Output latency", "s",
     _streamed(_c("e2e_s") - _c("ttft_s")), "E2E - TTFT", "arrivals", "lower", "latency"),
    ("output_inference_speed", "Output inference speed", "tokens/s",
     _streamed(pl.when(_c("tpot_s") > 0).then(1 / _c("tpot_s"))), "1 / TPOT", "TPOT", "higher", "speed"),
    ("output_tokens_per_s", "Output throughput", "tokens/s",
     _c("output_tokens"), "tokens / time, one window", "tokens", "higher", "rate"),
    ("input_tokens_per_s", "Input throughput", "tokens/s",
     _c("input_tokens"), "tokens / time, one window", "tokens", "higher", "rate"),
    ("requests_per_s", "Requests a second", "1/s",
     pl.lit(1), "successes / time, one window", "ends", "higher", "rate"),
    ("inputs_per_s", "Inputs a second", "1/s",
     _c("batch_size"), "inputs of successes / time, one window", "batch sizes", "higher", "rate"),
    ("served_share", "Served share of the offered load", "",
     pl.lit(1), "successes / due, one window (open loop)", "ends, schedule", "higher", "share"),
    ("error_rate", "Error rate", "", _c("outcome") != "ok", "not ok / not cut", "outcomes", "lower", "share"),
    ("goodput", "Goodput", "",
     _c("outcome") == "ok", "within every limit / not cut", "outcomes, latencies", "higher", "share"),
]
# fmt: on
METRICS: dict[str, Metric] = {d[0]: Metric(*d) for d in _DEFINITIONS}
# Of these a request that was cut tells how long it had taken by then: the column that says whether it was over, and since when.
CENSORED = {
    name.removesuffix("_s") + ending: (name, since)
    for name in ("ttft_s", "first_content_s", "e2e_s")
    for ending, since in (("_s", "sent_s"), ("_due_s", "scheduled_s"))
}
CUT = ("cancelled", "timeout")  # outcomes of requests that were ended by the client before they were over


def felt(metric: Metric) -> pl.Expr:
    """The metric as the user of one request experienced it: the delay of a buffered first token counts, too."""
    if metric.name not in CENSORED:
        return metric.expression
    column, since = CENSORED[metric.name]
    return _since_due(column) if since == "scheduled_s" else pl.col(column)


def headline(name: str, load: str) -> str:
    """The metric that stands for `name` under a load: in an open loop a latency counts from when its request was due."""
    due = name.removesuffix("_s") + "_due_s"
    return due if load == OpenLoop.kind and due in METRICS else name


def percentile(x: Values, cut: Values, p: float, parts: Values | None = None) -> Estimate:
    """The p-th percentile of what `observed` gives, in its unit; `parts`: the repeat of each value."""
    return censored_quantile(x, cut, p / 100, parts) if cut.any() else st.quantile(x, p / 100, parts)


def observed(metric: Metric, window: pl.DataFrame) -> tuple[Values, Values]:
    """(values, cut) of a latency in the rows of a window, in their order. TTFT and E2E of each request that timed out or was cut
    when its level ended are what it had taken by then, at the least; if it had its first token, it has a TTFT like any other."""
    seen = observations(metric, window)
    return seen["x"].to_numpy(), seen["cut"].to_numpy()


def observations(metric: Metric, window: pl.DataFrame) -> pl.DataFrame:
    """What `observed` says, as a frame: x, cut, ok, repeat."""
    ok = pl.col("outcome") == "ok"
    seen = window.filter(ok).select("repeat", x=metric.expression, cut=False, ok=ok).drop_nulls("x")
    if metric.name not in (*CENSORED, "tpot_s"):
        return seen
    ended = pl.col("outcome").is_in(CUT) & pl.col("end_s").is_not_null()
    if metric.name == "tpot_s":
        known, least = ok, _least_tpot()
    else:
        column, since = CENSORED[metric.name]
        if window.select((ok & metric.expression.is_null()).any()).item() and not seen.height:
            return seen  # nothing has it: it was not streamed
        known = ok if column == "e2e_s" else pl.col(column).is_not_null() & (ok | ended)
        least = pl.when(ended & pl.col(since).is_not_null()).then(pl.col("end_s") - pl.col(since))
        if metric.name.endswith("_due_s"):
            least = pl.when(OPEN_LOOP).then(least)
    value = pl.when(known).then(metric.expression).when(ended).then(least)
    kept = window.filter(ok | ended).select("repeat", x=value, cut=ended & ~known, ok=ok)
    return kept.drop_nulls("x")


def _least_tpot() -> pl.Expr:
    """The least TPOT of a request that was cut in mid-stream: all tokens asked for take at least the time that it had taken."""
    streamed = pl.col("end_s") - pl.col("sent_s") - pl.col("ttft_s")
    return pl.when(pl.col("output_tokens_target") > 1).then(streamed / (pl.col("output_tokens_target") - 1))

"""The measurement error of this machine at this load: sends the same load to the embedded endpoint, which logs when it wrote
each token.

The endpoint runs in its own process on the same machine, so both use the same clock. The true value is the time from the moment
at which the server's OS kernel received the request to the server's write of a token. It is compared with the client's time
from its send to that token's arrival. The bias includes the way across loopback (some microseconds).

The bias of a figure is the client's value minus the true value, for each request. It is valid for this machine, this level and
this process (a busy notebook kernel changes it). Compare it with the results that were measured here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from .. import emulator
from ..config.endpoint import Endpoint
from ..config.run_config import RunConfig
from ..config.tasks import TASKS
from ..core.tables import Html, html_table
from ..core.types import NewRow
from ..reporting import chart_utils
from ..runs import Run
from ..session import run_sync

if TYPE_CHECKING:
    import altair as alt

SLACK_S = 0.0005
QUANTILES = (0.5, 0.9, 0.99)
METRICS = {"ttft_s": "Time to first token", "e2e_s": "End-to-end latency", "tpot_s": "Time per output token"}


@dataclass(frozen=True)
class Calibration:
    """What `bk.calibrate` returns. `frame`: one row per level and metric: `truth_s` (the median of the true values); the bias
    in s as mean, p50, p90, p99 and the largest absolute value; `bound_p99_s`, the error bound that the client stated;
    `outside`, the number of requests with a true value outside their bound."""

    frame: pl.DataFrame
    run: Run

    def _table(self) -> Html:
        rows = []
        for row in self.frame.iter_rows(named=True):
            shown = {
                "scenario": row["scenario"],
                "in flight": f"{row['level']:g}",
                "figure": METRICS[row["metric"]],
                "truth p50, ms": f"{row['truth_s'] * 1e3:.3f}",
            }
            biases = {f"bias {name}, ms": _ms(row[f"bias_{name}_s"]) for name in ("p50", "p90", "p99", "max")}
            bound = "–" if row["bound_p99_s"] is None else f"{row['bound_p99_s'] * 1e3:.3f}"
            rows.append(shown | biases | {"stated error p99, ms": bound, "outside it": row["outside"]})
        return html_table(rows)

    def chart(self) -> alt.Chart:
        """Bias over the number in flight: the median as a point, p99 as a line above it, one colour per figure."""
        a = chart_utils.altair()
        if not self.frame.height:
            return chart_utils.nothing("Bias against load", "No level has a successful request.")
        data = self.frame.with_columns(
            p50=pl.col("bias_p50_s") * 1e3, p99=pl.col("bias_p99_s") * 1e3, figure=pl.col("metric").replace(METRICS)
        )
        base = a.Chart(data).encode(
            x=a.X("level:Q", title="Requests in flight", scale=a.Scale(type="log", base=2)),
            color=a.Color("figure:N", title="Figure", sort=list(METRICS.values())),
        )
        tips = ["figure:N", a.Tooltip("level:Q"), a.Tooltip("p50:Q", format="+.3f"), a.Tooltip("p99:Q", format="+.3f")]
        p50 = a.Y("p50:Q", title="Bias (client - truth), ms", scale=a.Scale(type="symlog", constant=0.01))
        points = base.mark_line(point=True).encode(y=p50, tooltip=tips)
        rules = base.mark_rule(strokeWidth=2).encode(y="p50:Q", y2="p99:Q", tooltip=tips)
        title = a.Title("Bias against load", subtitle="Points: median; lines: up to p99")
        chart: alt.Chart = (rules + points).properties(title=title, width=chart_utils.WIDTH, height=chart_utils.HEIGHT)
        return chart

    def _repr_mimebundle_(self, **kw: object) -> dict[str, str]:
        return self._table()._repr_mimebundle_(**kw)

    def __repr__(self) -> str:
        return repr(self._table())


def calibrate(
    config: RunConfig, *, ttft_ms: float = 50.0, itl_ms: float = 20.0, tail_ms: float = 5.0, cluster: object = None
) -> Calibration:
    """Runs the load of `config` against the embedded endpoint instead of its own, and returns the true error of each figure.

    The embedded endpoint sends the first token after `ttft_ms`, then one token every `itl_ms`. Like real engines, it sends a
    role message first, and finish reason and usage `tail_ms` after the last token. Nothing is sent to the endpoint of `config`,
    and its key is not used. `cluster`: as in `bk.run`, but its workers must be on this machine, because the embedded endpoint
    is reachable only here.
    """
    with emulator.serve(ttft_ms=ttft_ms, itl_ms=itl_ms, tail_ms=tail_ms) as server:
        url = f"{server.base_url}/v1{TASKS[config.task].route}"
        endpoint = Endpoint(url=url, model="emulated", auth_scheme="none")
        run = run_sync(
            config.model_copy(
                update={"endpoint": endpoint, "tokenizer": "embedded", "capture": "none", "preflight": False}
            ),
            cluster=cluster,
        )
        truth = _truth(server.truth()["requests"])
    return Calibration(_compare(run.requests, truth), run)


def _ms(seconds: float) -> str:
    """A bias in ms with its sign; "0" if it rounds to nothing."""
    text = f"{seconds * 1e3:+.3f}"
    return text if text.strip("+-0.") else "0"


def _truth(records: list[NewRow]) -> pl.DataFrame:
    """Each request's true TTFT and E2E (s) from its receipt by the OS kernel: to the end of the write (`true_`) and to its
    beginning (`soonest_`), and its true TPOT."""
    rows: list[NewRow] = []
    for r in records:
        if r.get("last_write_ns") and r["outcome"] == "ok":
            row: NewRow = {"request_id": r["request_id"], "true_tpot_s": None, "soonest_tpot_s": None}
            for metric, name in (("ttft_s", "first_write_ns"), ("e2e_s", "last_write_ns")):
                before, after = ((at - r["received_ns"]) / 1e9 for at in r[name])
                row |= {f"soonest_{metric}": before, f"true_{metric}": after}
            if r["tokens"] > 1:
                row["true_tpot_s"] = row["soonest_tpot_s"] = (row["true_e2e_s"] - row["true_ttft_s"]) / (
                    r["tokens"] - 1
                )
            rows.append(row)
    names = [f"{kind}_{metric}" for kind in ("true", "soonest") for metric in METRICS]
    return pl.DataFrame(rows, schema={"request_id": pl.String, **dict.fromkeys(names, pl.Float64)})


def _compare(requests: pl.DataFrame, truth: pl.DataFrame) -> pl.DataFrame:
    both = requests.filter(pl.col("outcome") == "ok").join(truth, on="request_id")
    parts = []
    for metric in METRICS:
        bias, error = pl.col(metric) - pl.col(f"true_{metric}"), metric.removesuffix("_s") + "_error_s"
        bound = pl.col(error) if error in both.columns else pl.lit(None, pl.Float64)
        quantiles = [bias.quantile(q).alias(f"bias_p{q * 100:g}_s") for q in QUANTILES]
        # The server may be put to sleep within its write: a figure is outside only if its interval misses both ends of it.
        sooner = pl.col(f"soonest_{metric}") - pl.col(metric) > SLACK_S
        outside = ((bias - bound > SLACK_S) | (sooner & bound.is_not_null())).sum().cast(pl.Int64)
        part = both.group_by("scenario", "load", "level", maintain_order=True).agg(
            pl.lit(metric).alias("metric"),
            pl.len().alias("requests"),
            pl.col(f"true_{metric}").median().alias("truth_s"),
            bias.mean().alias("bias_mean_s"),
            *quantiles,
            bias.sort_by(bias.abs()).last().alias("bias_max_s"),
            bound.quantile(0.99).alias("bound_p99_s"),
            outside.alias("outside"),
        )
        parts.append(part.filter(pl.col("truth_s").is_not_null() & pl.col("bias_mean_s").is_not_null()))
    return pl.concat(parts).sort("scenario", "load", "level", maintain_order=True)

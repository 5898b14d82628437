"""Counts: tokens counted in four ways, how requests ended, and the share of failures by status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ...analysis.given import of_rows
from ...analysis.metrics import AROUND, OUTCOMES
from ...results.run_data import RunData
from ...stats.survival import cumulative_incidence
from .. import chart_utils as d
from ..altair_renderer import PALETTE
from ..composing import composing

if TYPE_CHECKING:
    import altair as alt

WAITING, POINTS = "still waiting", 32


@composing
@of_rows
def token_ledger(run: RunData | pl.DataFrame) -> alt.Chart:
    """Mean tokens per request, counted in four ways: requested, reported by the server, counted by the tokenizer, output
    chunks. All bars of one direction cover the same requests: those that have every count that any request of the level has."""
    a, rows = d.altair(), d.rows(run)
    ok = d.ok(rows)
    accounts = {"asked for": "_tokens_target", "reported": "_tokens_server", "counted": "_tokens_client"}
    columns = {(what, name): f"{what}{end}" for what in ("input", "output") for name, end in accounts.items()}
    columns[("output", "chunks")] = "output_chunks"
    parts = [
        ok.filter(_alike([column for (which, _), column in columns.items() if which == w]))
        .group_by("series")
        .agg(pl.col(c).mean().alias("mean"), pl.col(c).sum().alias("total"), pl.len().alias("requests"))
        .with_columns(what=pl.lit(w), account=pl.lit(n))
        for (w, n), c in columns.items()
    ]
    frame = pl.concat(parts).drop_nulls("mean") if ok.height else ok
    if not frame.height:
        return d.nothing("Token accounts", "No successful request has token counts.")
    names = ["asked for", "reported", "counted", "chunks"]
    chart = (
        a.Chart(frame)
        .mark_bar()
        .encode(
            x=a.X("account:N", sort=names, title=None, axis=a.Axis(labelAngle=0)),
            y=a.Y("mean:Q", title="Tokens per request, mean"),
            color=a.Color("account:N", sort=names, scale=a.Scale(domain=names, range=PALETTE[:4]), legend=None),
            column=a.Column("what:N", title=None, sort=["input", "output"]),
            row=a.Row(
                "series:N",
                title=None,
                sort=d.order(rows),
                header=d.head(a),
            ),
            tooltip=[
                "series:N",
                "what:N",
                "account:N",
                a.Tooltip("mean:Q", format=",.2f"),
                a.Tooltip("total:Q", format=","),
                a.Tooltip("requests:Q", format=","),
            ],
        )
    )
    chart = chart.properties(title="Token accounts", width=d.WIDTH // 2, height=90)
    return chart.resolve_scale(y="independent")  # type: ignore[no-any-return]


def _alike(columns: list[str]) -> pl.Expr:
    """Rows that have each of these counts that any row of their series has."""
    return pl.all_horizontal(pl.col(c).is_not_null() | (pl.col(c).count().over("series") == 0) for c in columns)


@composing
@of_rows
def outcomes_over_time(run: RunData | pl.DataFrame) -> alt.Chart:
    """The outcomes of the measured requests at each moment after their send: the share that had ended, by outcome, and the
    share that still waited, per level.

    Requests that were cut when their level ended count as waiting until then (Aalen and Johansen 1978). If a server hangs, the
    band of waiting requests remains at the end."""
    a, rows = d.altair(), d.rows(run)
    sent = rows.filter((pl.col("phase") == "measured") & pl.col("sent_s").is_not_null() & pl.col("end_s").is_not_null())
    title = "Outcomes of requests over time"
    if not sent.height:
        return d.nothing(title, "No measured request was sent, or it is not known when they ended.")
    parts = [
        _incidence(part).with_columns(series=pl.lit(key))
        for (key,), part in sent.group_by("series", maintain_order=True)
    ]
    frame = pl.concat(parts)
    present = [o for o in [*OUTCOMES, WAITING] if o in frame["outcome"]]
    shades = [d.OUTCOME_COLOURS.get(outcome, "#d9d9d9") for outcome in present]
    chart = (
        a.Chart(frame)
        .mark_area(interpolate="step-after")
        .encode(
            x=a.X("seconds:Q", title="Seconds since the send"),
            y=a.Y("from:Q", title="Share of requests", axis=a.Axis(format="%"), scale=a.Scale(domain=[0, 1])),
            y2="to:Q",
            color=a.Color("outcome:N", sort=present, scale=a.Scale(domain=present, range=shades), title="Outcome"),
            tooltip=["series:N", "outcome:N", a.Tooltip("seconds:Q", format=".3f"), a.Tooltip("share:Q", format=".1%")],
        )
        .properties(width=d.WIDTH, height=110)
    )
    row = a.Row(
        "series:N", sort=d.order(rows), title=None, header=a.Header(labelAngle=0, labelAlign="left", labelLimit=260)
    )
    return chart.encode(row=row).properties(title=title)  # type: ignore[no-any-return]


def _incidence(part: pl.DataFrame) -> pl.DataFrame:
    """seconds, outcome, share, from, to of one level: the course of each outcome at POINTS moments and of what still waits."""
    took = (part["end_s"] - part["sent_s"]).to_numpy()
    causes = part["outcome"].replace("cancelled", "").to_numpy()
    at, shares = cumulative_incidence(took, causes)
    grid = np.unique(np.concatenate([[0.0], np.quantile(at, np.linspace(0, 1, POINTS)), [at[-1]]]))
    place = np.searchsorted(at, grid, side="right")
    courses = {name: np.concatenate([[0.0], course])[place] for name, course in shares.items()}
    courses[WAITING] = 1 - sum(courses.values(), np.zeros(len(grid)))
    parts, below = [], np.zeros(len(grid))
    for name in [o for o in [*OUTCOMES, WAITING] if o in courses]:
        share = courses[name].clip(0, 1)
        columns = {
            "seconds": grid.round(6),
            "share": share.round(6),
            "from": below.round(6),
            "to": (below + share).round(6),
        }
        parts.append(pl.DataFrame(columns).with_columns(outcome=pl.lit(name)))
        below = below + share
    return pl.concat(parts)


@composing
@of_rows
def outcome_bars(run: RunData | pl.DataFrame) -> alt.Chart:
    """How every planned request that was sent has ended, per level. Requests of ramp and cooldown are not counted."""
    a, rows = d.altair(), d.rows(run)
    rows = rows.filter(~pl.col("phase").is_in(AROUND))
    if not rows.height:
        return d.nothing("Outcomes", "No request was sent.")
    frame = (
        rows.group_by("series", "outcome")
        .len("n")
        .with_columns(rank=pl.col("outcome").replace_strict({o: i for i, o in enumerate(OUTCOMES)}))
    )
    present = [o for o in OUTCOMES if o in frame["outcome"]]
    chart = (
        a.Chart(frame)
        .mark_bar()
        .encode(
            y=a.Y("series:N", sort=d.order(rows), title=None, axis=a.Axis(labelLimit=260)),
            x=a.X("n:Q", title="Requests", axis=a.Axis(tickMinStep=1)),
            color=d.outcome_colour(a, present),
            order="rank:Q",
            tooltip=["series:N", "outcome:N", "n:Q"],
        )
    )
    return chart.properties(title="Outcomes", width=d.WIDTH, height=a.Step(28))  # type: ignore[no-any-return]


@composing
@of_rows
def error_shares(run: RunData | pl.DataFrame) -> alt.Chart:
    """The share of requests that failed at each level, by HTTP status or, if none came, by outcome. It is a share of all
    measured requests, without those that were cut when a level ended."""
    a, rows = d.altair(), d.rows(run)
    title = "Failed requests by status"
    rows = rows.filter((pl.col("phase") == "measured") & (pl.col("outcome") != "cancelled"))
    failed = rows.filter(pl.col("outcome") != "ok")
    if not failed.height:
        why = "No request failed." if rows.height else "No request was sent, or each was cut when its level ended."
        return d.nothing(title, why)
    bad = pl.col("outcome").eq("http_error") & pl.col("status").is_not_null()
    cause = pl.when(bad).then(pl.lit("HTTP ") + pl.col("status").cast(pl.String)).otherwise(pl.col("outcome"))
    sent = rows.group_by("series").len("sent")
    frame = failed.group_by("series", cause.alias("cause")).len("n").join(sent, on="series")
    frame = frame.with_columns(share=pl.col("n") / pl.col("sent")).sort("series", "cause")
    known = failed.select("outcome", cause.alias("cause")).unique().sort("cause")
    causes, shades = known["cause"].to_list(), _shades(known["outcome"].to_list())
    chart = a.Chart(frame).mark_bar()
    chart = chart.encode(
        y=a.Y(
            "series:N", sort=d.order(rows), title=None, axis=a.Axis(labelLimit=260), scale=a.Scale(domain=d.order(rows))
        ),
        x=a.X("share:Q", title="Share of requests sent", axis=a.Axis(format="%")),
        color=a.Color("cause:N", title="Status or outcome", scale=a.Scale(domain=causes, range=shades)),
        tooltip=["series:N", "cause:N", "n:Q", "sent:Q", a.Tooltip("share:Q", format=".2%")],
    )
    return chart.properties(title=title, width=d.WIDTH, height=a.Step(28))  # type: ignore[no-any-return]


def _shades(outcomes: list[str]) -> list[str]:
    """The fixed colour of each outcome; statuses of one outcome are paler from one to the next."""
    out, seen = list[str](), dict[str, int]()
    for outcome in outcomes:
        n = seen[outcome] = seen.get(outcome, -1) + 1
        base = [int(d.OUTCOME_COLOURS[outcome][i : i + 2], 16) for i in (1, 3, 5)]
        out.append("#" + "".join(f"{round(255 - (255 - x) * 0.7**n):02x}" for x in base))
    return out

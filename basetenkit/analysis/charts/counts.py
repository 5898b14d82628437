"""What was counted: tokens by the four accounts, how requests ended, and the share of failures by status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from ...display import PALETTE
from .. import drawing as d
from ..given import of_run
from ..metrics import OUTCOMES

if TYPE_CHECKING:
    import altair as alt


@of_run
def token_ledger(run: Any) -> alt.Chart:
    """Mean tokens per request by the four accounts: asked for, reported by the server, counted by the tokenizer, output chunks.
    The bars of one direction are of the same requests: those that have every count that any request of the level has."""
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


@of_run
def outcome_bars(run: Any) -> alt.Chart:
    """How every request sent has ended, a level a bar."""
    a, rows = d.altair(), d.rows(run)
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


@of_run
def error_shares(run: Any) -> alt.Chart:
    """The share of requests that failed at each level, by HTTP status or, where none came, by outcome. Of all that were sent
    and measured, less those that were cut when a level ended."""
    a, rows = d.altair(), d.window(d.rows(run))
    title = "Failed requests by status"
    rows = rows.filter(pl.col("outcome") != "cancelled")
    failed = rows.filter(pl.col("outcome") != "ok")
    if not failed.height:
        why = "No request failed." if rows.height else "No request was sent, or each was cut when its level ended."
        return d.nothing(title, why)
    bad = pl.col("outcome").eq("http_error") & pl.col("status").is_not_null()
    cause = pl.when(bad).then(pl.lit("HTTP ") + pl.col("status").cast(pl.String)).otherwise(pl.col("outcome"))
    sent = rows.group_by("series").len("sent")
    frame = failed.group_by("series", cause.alias("cause")).len("n").join(sent, on="series")
    frame = frame.with_columns(share=pl.col("n") / pl.col("sent")).sort("series", "cause")
    causes = frame["cause"].unique().sort().to_list()
    shades = (PALETTE * len(causes))[: len(causes)]
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

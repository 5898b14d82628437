"""A run, or a frame of rows -> altair charts. Each is drawn from frames aggregated in polars, so that 100,000 requests draw
as fast as 100 and the chart stays small. Where there is nothing to draw, the chart says in a sentence what is missing.

Every function takes a Run (anything with `.requests` and `.chunks`) or a frame in its schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from ..display import PALETTE
from . import drawing as d
from .metrics import LEVEL, METRICS, OUTCOMES, UNIT, observed, percentile
from .summary import summarise

if TYPE_CHECKING:
    import altair as alt


def latency_ecdf(run: Any, metric: str = "ttft_s") -> alt.Chart:
    """The share of requests at or below each value of a latency, with p50, p90 and p99 and their 95% intervals."""
    a, rows = d.altair(), d.rows(run)
    title = METRICS[metric].title
    parts = d.window(rows).sort(*UNIT, "start_s").group_by("series", maintain_order=True)
    seen = {str(name): observed(METRICS[metric], part) for (name,), part in parts}
    seen = {name: found for name, found in seen.items() if len(found[0])}
    if not seen:
        return d.nothing(title, d.NO_LATENCY)
    factor, unit = d.scale(max(float(x.max()) for x, _ in seen.values()))
    steps, marks = [], []
    for name, (seconds, cut) in seen.items():
        x = seconds * factor
        steps += [{"series": name, "x": v, "share": s} for v, s in d.ecdf_points(x, cut)]
        for p in d.RULES:
            e = percentile(x, cut, p)
            marks.append({"series": name, "x": e.value, "low": e.low, "high": e.high, "share": p / 100, "p": f"p{p}"})
    order = d.order(rows)
    base_x = a.X("x:Q", title=f"{title}, {unit}", scale=a.Scale(zero=False))
    colour = d.colour(a, order)
    share = a.Y("share:Q", title="Share of requests", axis=a.Axis(format="%"), scale=a.Scale(domain=[0, 1]))
    line = (
        a.Chart(pl.DataFrame(steps))
        .mark_line(interpolate="step-after")
        .encode(x=base_x, y=share, color=colour, tooltip=d.tips(a, unit))
    )
    marked = a.Chart(pl.DataFrame(marks, infer_schema_length=None))
    points = marked.mark_point(filled=True, size=45, opacity=1).encode(
        x="x:Q", y="share:Q", color=colour, tooltip=[a.Tooltip("p:N", title="percentile"), *d.tips(a, unit)]
    )
    bars = (
        marked.transform_filter("isValid(datum.low) && isValid(datum.high)")
        .mark_rule(strokeWidth=2)
        .encode(x="low:Q", x2="high:Q", y="share:Q", color=colour)
    )
    open_ended = (
        marked.transform_filter("isValid(datum.low) && !isValid(datum.high)")
        .mark_rule(strokeWidth=2, strokeDash=[2, 3])
        .encode(x="low:Q", x2=a.value("width"), y="share:Q", color=colour)
    )
    subtitle = "Dots: p50, p90, p99; bars: their 95% intervals, dotted where so few requests give no upper bound"
    layers = line + bars + open_ended + points
    return layers.properties(title=a.Title(title, subtitle=subtitle), width=d.WIDTH, height=d.HEIGHT)  # type: ignore[no-any-return]


def latency_histogram(run: Any, metric: str = "ttft_s") -> alt.Chart:
    """How often each value of a latency came, a level below the other."""
    a, rows = d.altair(), d.rows(run)
    title = METRICS[metric].title
    ok = d.ok(rows).select("series", METRICS[metric].expression.alias("x")).drop_nulls()
    if not ok.height:
        return d.nothing(title, d.NO_LATENCY)
    factor, unit = d.scale(float(ok["x"].max()))  # type: ignore[arg-type]
    values = {str(name): part["x"].to_numpy() * factor for (name,), part in ok.group_by("series", maintain_order=True)}
    return d.histogram(a, title, "The last bar holds all that lies beyond", values, d.order(rows), unit, "requests")


def inter_token(run: Any) -> alt.Chart:
    """The gaps between output chunks, a level below the other. A chunk may hold several tokens: then a gap is of several."""
    a, rows = d.altair(), d.rows(run)
    ok = d.ok(rows).select("request_id", "series")
    chunks = None if isinstance(run, pl.DataFrame) else run.chunks
    if chunks is None or not ok.height:
        return d.nothing("Inter-token latency", "No successful streamed request in the window has output chunks.")
    gap = pl.col("arrival_s").diff().over("request_id", order_by="index").alias("gap")
    frame = chunks.join(ok.lazy(), on="request_id", maintain_order="right").select("series", gap).drop_nulls().collect()
    if not frame.height:
        return d.nothing("Inter-token latency", "No response has more than one output chunk.")
    values = {
        str(name): part["gap"].to_numpy() * 1e3 for (name,), part in frame.group_by("series", maintain_order=True)
    }
    return d.histogram(
        a, "Inter-token latency", "Gap between one output chunk and the next", values, d.order(rows), "ms", "gaps"
    )


def token_ledger(run: Any) -> alt.Chart:
    """Tokens a request by the four accounts: asked for, reported by the server, counted by the tokenizer, output chunks."""
    a, rows = d.altair(), d.rows(run)
    ok = d.ok(rows)
    accounts = {"asked for": "_tokens_target", "reported": "_tokens_server", "counted": "_tokens_client"}
    columns = {(what, name): f"{what}{end}" for what in ("input", "output") for name, end in accounts.items()}
    columns[("output", "chunks")] = "output_chunks"
    parts = [
        ok.group_by("series")
        .agg(pl.col(c).mean().alias("mean"), pl.col(c).sum().alias("total"))
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
            y=a.Y("mean:Q", title="Tokens a request, mean"),
            color=a.Color("account:N", sort=names, scale=a.Scale(domain=names, range=PALETTE[:4]), legend=None),
            column=a.Column("what:N", title=None, sort=["input", "output"]),
            row=a.Row(
                "series:N",
                title=None,
                sort=d.order(rows),
                header=a.Header(labelAngle=0, labelAnchor="start", labelOrient="top"),
            ),
            tooltip=[
                "series:N",
                "what:N",
                "account:N",
                a.Tooltip("mean:Q", format=",.2f"),
                a.Tooltip("total:Q", format=","),
            ],
        )
    )
    return chart.properties(title="Token accounts", width=d.WIDTH // 2, height=90)  # type: ignore[no-any-return]


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


def serving_curve(run: Any, metric: str = "ttft_s", percentile: int = 50) -> alt.Chart:
    """Latency against output throughput, a point a level, with the 95% interval of each."""
    a = d.altair()
    name, title = f"{metric}_p{percentile}", f"{METRICS[metric].title} against throughput"
    summary = summarise(run) if isinstance(run, pl.DataFrame) else run.summary
    frame = summary.with_columns(series=d.label()).filter(
        pl.col(name).is_not_null() & pl.col("output_tokens_per_s").is_not_null()
    )
    if not frame.height:
        return d.nothing(title, "No level has both a latency and a throughput.")
    factor, unit = d.scale(float(frame[name].max()))  # type: ignore[arg-type]
    frame = frame.select(
        "scenario",
        "series",
        "level",
        pl.col("^output_tokens_per_s.*$"),
        *(pl.col(f"{name}{e}") * factor for e in ("", "_low", "_high")),
    )
    x = a.X("output_tokens_per_s:Q", title="Output throughput, tokens/s", scale=a.Scale(zero=False))
    y = a.Y(f"{name}:Q", title=f"{METRICS[metric].title} p{percentile}, {unit}", scale=a.Scale(zero=False))
    base = a.Chart(frame).encode(x=x, color=a.Color("scenario:N", title="Scenario"))
    line = base.mark_line(point=a.OverlayMarkDef(size=60, filled=True)).encode(
        y=y,
        order="level:Q",
        tooltip=["series:N", a.Tooltip("output_tokens_per_s:Q", format=",.1f"), a.Tooltip(f"{name}:Q", format=",.2f")],
    )
    up = base.transform_filter(f"isValid(datum.{name}_high)").mark_rule().encode(y=f"{name}_low:Q", y2=f"{name}_high:Q")
    wide = (
        a.Chart(frame)
        .transform_filter("isValid(datum.output_tokens_per_s_high)")
        .mark_rule()
        .encode(x="output_tokens_per_s_low:Q", x2="output_tokens_per_s_high:Q", y=f"{name}:Q", color="scenario:N")
    )
    return (line + up + wide).properties(title=title, width=d.WIDTH, height=d.HEIGHT)  # type: ignore[no-any-return]


def waterfall(run: Any) -> alt.Chart:
    """Each request as a bar from its send to its end, the wait for its first token in a paler colour. Of failures and of
    successes at most 120 each, evenly over the run."""
    a, rows = d.altair(), d.rows(run)
    rows = rows.filter(pl.col("start_s").is_not_null() & pl.col("end_s").is_not_null())
    if not rows.height:
        return d.nothing("Requests over time", "No request was sent.")
    begin, failed = pl.coalesce("sent_s", "start_s"), pl.col("outcome") != "ok"
    halves = [rows.filter(wanted).sort(*LEVEL, "start_s") for wanted in (failed, ~failed)]
    kept = pl.concat([half.gather_every(max(1, -(-half.height // d.BARS))) for half in halves]).sort(*LEVEL, "start_s")
    kept = kept.select(
        "series",
        "outcome",
        "request_id",
        begin=begin.round(5),
        first=(begin + pl.col("ttft_s")).round(5),
        end=pl.col("end_s").round(5),
    ).with_columns(row=pl.int_range(pl.len()).over("series"))
    present = [o for o in OUTCOMES if o in kept["outcome"]]
    x = a.X("begin:Q", title="Seconds since the level's start")
    y = a.Y("row:O", title=None, axis=None)
    base = a.Chart().encode(
        y=y, tooltip=["request_id:N", "outcome:N", a.Tooltip("begin:Q", format=".3f"), a.Tooltip("end:Q", format=".3f")]
    )
    bar = base.mark_bar(height=a.RelativeBandSize(0.8)).encode(x=x, x2="end:Q", color=d.outcome_colour(a, present))
    wait = (
        base.transform_filter("isValid(datum.first)")
        .mark_bar(height=a.RelativeBandSize(0.8), color="white", opacity=0.6)
        .encode(x=x, x2="first:Q")
    )
    layered = a.layer(bar, wait, data=kept).properties(width=d.WIDTH, height=160)
    chart: alt.Chart = layered.facet(
        row=a.Row(
            "series:N",
            title=None,
            sort=d.order(rows),
            header=a.Header(labelAngle=0, labelAnchor="start", labelOrient="top"),
        ),
        title="Requests over time",
    ).resolve_scale(y="independent")
    return chart

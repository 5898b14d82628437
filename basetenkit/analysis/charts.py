"""A run, or a frame of rows -> altair charts. Each is drawn from frames aggregated in polars, so that 100,000 requests draw
as fast as 100 and the chart stays small. Where there is nothing to draw, the chart says in a sentence what is missing.

Every function takes a Run (anything with `.requests` and `.chunks`) or a frame in its schema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..display import PALETTE, enable_charts
from . import statistics as st
from .metrics import LEVEL, METRICS, OUTCOMES, summarise

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 480, 240
POINTS = 120
BARS = 200
RULES = (50, 90, 99)


def _altair() -> Any:
    import altair

    enable_charts()
    return altair


def _rows(run: Any) -> pl.DataFrame:
    frame = run if isinstance(run, pl.DataFrame) else run.requests
    return frame.with_columns(series=_label())


def _label() -> pl.Expr:
    """What a level is called in a legend: the load, and the scenario in front."""
    unit = pl.when(pl.col("load") == "request_rate").then(pl.lit("/s")).otherwise(pl.lit(" in flight"))
    level = pl.col("level").map_elements(lambda x: f"{x:g}", return_dtype=pl.String)
    return pl.col("scenario") + pl.lit(", ") + level + unit


def _order(rows: pl.DataFrame) -> list[str]:
    return rows.sort("scenario", "load", "level")["series"].unique(maintain_order=True).to_list()


def _ok(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("in_window").fill_null(True) & (pl.col("outcome") == "ok"))


def _scale(largest: float | None) -> tuple[float, str]:
    """(factor, unit): milliseconds below 10 s, seconds above."""
    return (1e3, "ms") if largest is None or largest < 10 else (1.0, "s")


def nothing(title: str, sentence: str) -> alt.Chart:
    """A chart that says why there is none."""
    a = _altair()
    text = (
        a.Chart(a.Data(values=[{"text": sentence}]))
        .mark_text(fontSize=13, align="left")
        .encode(text="text:N", x=a.value(12))
    )
    return text.properties(title=title, width=WIDTH, height=60)  # type: ignore[no-any-return]


def _colour(a: Any, order: list[str], title: str = "Scenario, load") -> Any:
    return a.Color("series:N", sort=order, scale=a.Scale(domain=order, range=(PALETTE * 9)[: len(order)]), title=title)


def _ecdf_points(values: np.ndarray[Any, Any]) -> list[tuple[float, float]]:
    """(value, share at or below it), at most POINTS of them, denser in the tail."""
    ordered, n = np.sort(values), len(values)
    ranks = np.unique(
        np.concatenate(
            [np.linspace(0, n - 1, POINTS // 2), (n - 1) * (1 - np.geomspace(1, 1 / max(n, 2), POINTS // 2))]
        ).astype(int)
    )
    return [(float(ordered[i]), (i + 1) / n) for i in ranks]


def latency_ecdf(run: Any, metric: str = "ttft_s") -> alt.Chart:
    """The share of requests at or below each value of a latency, with p50, p90 and p99 and their 95% intervals."""
    a, rows = _altair(), _rows(run)
    title = METRICS[metric].title
    ok = _ok(rows).sort("start_s").select("series", METRICS[metric].expression.alias("x")).drop_nulls()
    if not ok.height:
        return nothing(title, "No successful streamed request in the window has this latency.")
    factor, unit = _scale(float(ok["x"].max()))  # type: ignore[arg-type]
    steps, marks = [], []
    for (name,), part in ok.group_by("series", maintain_order=True):
        x = part["x"].to_numpy() * factor
        steps += [{"series": name, "x": v, "share": s} for v, s in _ecdf_points(x)]
        for p in RULES:
            e = st.quantile(x, p / 100)
            top = e.high if e.high is not None else float(x.max())
            marks.append(
                {
                    "series": name,
                    "x": e.value,
                    "low": e.low,
                    "high": top if e.low is not None else None,
                    "share": p / 100,
                    "p": f"p{p}",
                }
            )
    order = _order(rows)
    base_x = a.X("x:Q", title=f"{title}, {unit}", scale=a.Scale(zero=False))
    colour = _colour(a, order)
    share = a.Y("share:Q", title="Share of requests", axis=a.Axis(format="%"), scale=a.Scale(domain=[0, 1]))
    line = (
        a.Chart(pl.DataFrame(steps))
        .mark_line(interpolate="step-after")
        .encode(x=base_x, y=share, color=colour, tooltip=_tips(a, unit))
    )
    marked = a.Chart(pl.DataFrame(marks, infer_schema_length=None))
    points = marked.mark_point(filled=True, size=45, opacity=1).encode(
        x="x:Q", y="share:Q", color=colour, tooltip=[a.Tooltip("p:N", title="percentile"), *_tips(a, unit)]
    )
    bars = (
        marked.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2)
        .encode(x="low:Q", x2="high:Q", y="share:Q", color=colour)
    )
    subtitle = "Dots: p50, p90, p99; bars: their 95% intervals"
    return (line + bars + points).properties(title=a.Title(title, subtitle=subtitle), width=WIDTH, height=HEIGHT)  # type: ignore[no-any-return]


def _tips(a: Any, unit: str) -> list[Any]:
    return [
        a.Tooltip("series:N", title="level"),
        a.Tooltip("x:Q", title=unit, format=",.2f"),
        a.Tooltip("share:Q", format=".1%"),
    ]


def _histogram(
    a: Any, title: str, subtitle: str, values: dict[str, np.ndarray[Any, Any]], order: list[str], unit: str, what: str
) -> alt.Chart:
    whole = np.concatenate(list(values.values()))
    top = max(float(np.quantile(whole, 0.999)), float(whole.min()) + 1e-9)
    edges = np.linspace(float(whole.min()), top, 41)
    rows = []
    for name, x in values.items():
        counts, _ = np.histogram(np.minimum(x, top), edges)
        rows += [
            {"series": name, "from": float(edges[i]), "to": float(edges[i + 1]), "share": int(c) / len(x), "n": int(c)}
            for i, c in enumerate(counts)
            if c
        ]
    tips = [
        "series:N",
        a.Tooltip("from:Q", format=",.2f"),
        a.Tooltip("to:Q", format=",.2f"),
        a.Tooltip("share:Q", format=".1%"),
        a.Tooltip("n:Q", title=what),
    ]
    bars = (
        a.Chart(pl.DataFrame(rows))
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=a.X("from:Q", bin="binned", title=f"{title}, {unit}"),
            x2="to:Q",
            y=a.Y("share:Q", title=f"Share of {what}", axis=a.Axis(format="%")),
            color=_colour(a, order).legend(None),
            row=a.Row(
                "series:N",
                sort=order,
                title=None,
                header=a.Header(labelAngle=0, labelAnchor="start", labelOrient="top"),
            ),
            tooltip=tips,
        )
    )
    return bars.properties(title=a.Title(title, subtitle=subtitle), width=WIDTH, height=110)  # type: ignore[no-any-return]


def latency_histogram(run: Any, metric: str = "ttft_s") -> alt.Chart:
    """How often each value of a latency came, a level below the other."""
    a, rows = _altair(), _rows(run)
    title = METRICS[metric].title
    ok = _ok(rows).select("series", METRICS[metric].expression.alias("x")).drop_nulls()
    if not ok.height:
        return nothing(title, "No successful streamed request in the window has this latency.")
    factor, unit = _scale(float(ok["x"].max()))  # type: ignore[arg-type]
    values = {str(name): part["x"].to_numpy() * factor for (name,), part in ok.group_by("series", maintain_order=True)}
    return _histogram(a, title, "The last bar holds all that lies beyond", values, _order(rows), unit, "requests")


def inter_token(run: Any) -> alt.Chart:
    """The gaps between output chunks, a level below the other. A chunk may hold several tokens: then a gap is of several."""
    a, rows = _altair(), _rows(run)
    ok = _ok(rows).select("request_id", "series")
    chunks = None if isinstance(run, pl.DataFrame) else run.chunks
    if chunks is None or not ok.height:
        return nothing("Inter-token latency", "No successful streamed request in the window has output chunks.")
    gap = pl.col("arrival_s").diff().over("request_id", order_by="index").alias("gap")
    frame = chunks.join(ok.lazy(), on="request_id", maintain_order="right").select("series", gap).drop_nulls().collect()
    if not frame.height:
        return nothing("Inter-token latency", "No response has more than one output chunk.")
    values = {
        str(name): part["gap"].to_numpy() * 1e3 for (name,), part in frame.group_by("series", maintain_order=True)
    }
    return _histogram(
        a, "Inter-token latency", "Gap between one output chunk and the next", values, _order(rows), "ms", "gaps"
    )


def token_ledger(run: Any) -> alt.Chart:
    """Tokens a request by the four accounts: asked for, reported by the server, counted by the tokenizer, output chunks."""
    a, rows = _altair(), _rows(run)
    ok = _ok(rows)
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
        return nothing("Token accounts", "No successful request has token counts.")
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
                sort=_order(rows),
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
    return chart.properties(title="Token accounts", width=WIDTH // 2, height=90)  # type: ignore[no-any-return]


def outcome_bars(run: Any) -> alt.Chart:
    """How every request sent has ended, a level a bar."""
    a, rows = _altair(), _rows(run)
    if not rows.height:
        return nothing("Outcomes", "No request was sent.")
    frame = (
        rows.group_by("series", "outcome")
        .len("n")
        .with_columns(rank=pl.col("outcome").replace_strict({o: i for i, o in enumerate(OUTCOMES)}))
    )
    present = [o for o in OUTCOMES if o in frame["outcome"]]
    colours = {
        "ok": "#009E73",
        "cancelled": "#999999",
        "timeout": "#E69F00",
        "connection_error": "#D55E00",
        "http_error": "#CC79A7",
    }
    shades = [colours.get(o, PALETTE[i % len(PALETTE)]) for i, o in enumerate(present)]
    chart = (
        a.Chart(frame)
        .mark_bar()
        .encode(
            y=a.Y("series:N", sort=_order(rows), title=None, axis=a.Axis(labelLimit=260)),
            x=a.X("n:Q", title="Requests", axis=a.Axis(tickMinStep=1)),
            color=a.Color("outcome:N", sort=present, scale=a.Scale(domain=present, range=shades), title="Outcome"),
            order="rank:Q",
            tooltip=["series:N", "outcome:N", "n:Q"],
        )
    )
    return chart.properties(title="Outcomes", width=WIDTH, height=a.Step(28))  # type: ignore[no-any-return]


def serving_curve(run: Any, metric: str = "ttft_s", percentile: int = 50) -> alt.Chart:
    """Latency against output throughput, a point a level, with the 95% interval of each."""
    a = _altair()
    name, title = f"{metric}_p{percentile}", f"{METRICS[metric].title} against throughput"
    summary = summarise(run) if isinstance(run, pl.DataFrame) else run.summary
    frame = summary.with_columns(series=_label()).filter(
        pl.col(name).is_not_null() & pl.col("output_tokens_per_s").is_not_null()
    )
    if not frame.height:
        return nothing(title, "No level has both a latency and a throughput.")
    factor, unit = _scale(float(frame[name].max()))  # type: ignore[arg-type]
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
    return (line + up + wide).properties(title=title, width=WIDTH, height=HEIGHT)  # type: ignore[no-any-return]


def waterfall(run: Any) -> alt.Chart:
    """Each request as a bar from its send to its end, the wait for its first token in a paler colour; failures are all kept, of
    the rest at most 200 are drawn."""
    a, rows = _altair(), _rows(run)
    rows = rows.filter(pl.col("start_s").is_not_null() & pl.col("end_s").is_not_null())
    if not rows.height:
        return nothing("Requests over time", "No request was sent.")
    bad, good = rows.filter(pl.col("outcome") != "ok").head(BARS), rows.filter(pl.col("outcome") == "ok")
    kept = pl.concat([bad, good.gather_every(max(1, -(-good.height // BARS)))]).sort(*LEVEL, "start_s")
    begin = pl.coalesce("sent_s", "start_s")
    kept = kept.select(
        "series", "outcome", "request_id", begin=begin, first=begin + pl.col("ttft_s"), end=pl.col("end_s")
    ).with_columns(row=pl.int_range(pl.len()).over("series"))
    present = [o for o in OUTCOMES if o in kept["outcome"]]
    x = a.X("begin:Q", title="Seconds since the level's start")
    y = a.Y("row:O", title=None, axis=None)
    colour = a.Color(
        "outcome:N",
        scale=a.Scale(
            domain=present, range=["#0072B2" if o == "ok" else PALETTE[1 + i % 6] for i, o in enumerate(present)]
        ),
        title="Outcome",
    )
    base = a.Chart().encode(
        y=y, tooltip=["request_id:N", "outcome:N", a.Tooltip("begin:Q", format=".3f"), a.Tooltip("end:Q", format=".3f")]
    )
    bar = base.mark_bar(height=a.RelativeBandSize(0.8)).encode(x=x, x2="end:Q", color=colour)
    wait = (
        base.transform_filter("isValid(datum.first)")
        .mark_bar(height=a.RelativeBandSize(0.8), color="white", opacity=0.6)
        .encode(x=x, x2="first:Q")
    )
    layered = a.layer(bar, wait, data=kept).properties(width=WIDTH, height=160)
    return layered.facet(
        row=a.Row(
            "series:N",
            title=None,
            sort=_order(rows),
            header=a.Header(labelAngle=0, labelAnchor="start", labelOrient="top"),
        ),
        title="Requests over time",
    ).resolve_scale(y="independent")  # type: ignore[no-any-return]

"""Shared parts of charts: names and colours of levels, units, points of an ECDF, a histogram, and an empty chart with its
reason."""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..config.loads import LevelKey
from ..core.errors import ConfigError
from ..results.run_data import RunData
from ..results.schema import LEVEL, SCHEMA
from .altair_renderer import INK, PALETTE, enable_charts

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 640, 280
POINTS = 120
BARS = 120
GAPS = 2_000_000  # drawn at most
BLUE, CLOCK = PALETTE[0], PALETTE[1]
_PERCENTILE = {"x": "value", "low": "from", "high": "to", "early": "at the earliest"}
RULES = (50, 90, 99)
RAMP = ("#5fb35a", "#1f9e89", "#26828e", "#3b528b", "#440154")  # viridis without its yellow, which is too pale
OUTCOME_COLOURS = {
    "ok": "#009E73",
    "http_error": "#CC79A7",
    "api_error": "#0072B2",
    "incomplete": "#56B4E9",
    "empty": "#F0E442",
    "malformed": "#222222",
    "timeout": "#E69F00",
    "connection_error": "#D55E00",
    "cancelled": "#999999",
}
NO_LATENCY = "No successful streamed request in the window has this latency."
NO_GAPS = "No successful response in the window has more than one output chunk."
LAST_BAR = "The last bar has all larger values"


def altair() -> ModuleType:
    enable_charts()
    import altair

    return altair


def rows(run: RunData | pl.DataFrame) -> pl.DataFrame:
    """All rows with `series`, their level's name; columns that an older file lacks are null."""
    frame = run if isinstance(run, pl.DataFrame) else run.rows
    if not {"scenario", "load", "level", "outcome"} <= set(frame.columns):
        raise ConfigError("this frame has no rows of requests; give a Run, its folder, or run.requests")
    lacking = [pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in frame.columns]
    return labelled(frame.with_columns(lacking))


def gaps(run: RunData | pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """`series`, `index` and `gap` (s) of each output chunk but the first of the window's successes; empty without chunks. If a
    run has very many, only every n-th request of a level, in order of start; `drawn` has the n."""
    lacking = {"request_id", "index", "arrival_s"}
    chunks = None if isinstance(run, pl.DataFrame) else run.chunks
    if chunks is None or not lacking <= set(chunks.collect_schema()):
        return pl.DataFrame(schema={"series": pl.String, "index": pl.Int64, "gap": pl.Float64})
    gap = pl.col("arrival_s").diff().over("request_id", order_by="index").alias("gap")
    kept = ok(rows).sort("start_s").filter(pl.int_range(pl.len()).over("series") % every(rows) == 0)
    kept = kept.select("request_id", "series")
    few = chunks.filter(pl.col("request_id").is_in(kept["request_id"].implode())).collect(engine="streaming")
    found: pl.DataFrame = few.join(kept, on="request_id", maintain_order="right").select("series", "index", gap)
    return found.drop_nulls()


def every(rows: pl.DataFrame) -> int:
    """The n of "every n-th request" in charts of chunks: 1 unless the run has more than GAPS chunks."""
    return -(-int(ok(rows)["output_chunks"].sum()) // GAPS) or 1


def drawn(rows: pl.DataFrame) -> list[str]:
    """A line for the subtitle: which requests' chunks a chart shows; none if it shows all."""
    n = every(rows)
    return [f"One request in {n}, in order of start"] if n > 1 else []


def small(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rounded to six significant digits: the difference is invisible, and it halves the size of the chart."""
    return frame.with_columns(pl.col(pl.Float64, pl.Float32).round_sig_figs(6))


def labelled(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with `series`, the label of each row's level; null if the row has no level."""
    names = frame.select(LEVEL).unique(maintain_order=True)
    known = [None if None in row.values() else str(LevelKey.of(row)) for row in names.iter_rows(named=True)]
    named = names.with_columns(pl.Series("series", known, pl.String))
    return frame.drop("series", strict=False).join(named, on=LEVEL, how="left", nulls_equal=True, maintain_order="left")


def order(rows: pl.DataFrame) -> list[str]:
    """The labels of all levels, by scenario, load and level; numbers within a scenario by their size, so that 8 is before 32."""
    levels = rows.select("scenario", "load", "level", "series").unique().rows()
    levels.sort(
        key=lambda row: ([(len(part), part) for part in re.findall(r"\d+|\D+", str(row[0]))], row[1] or "", row[2] or 0)
    )
    return list(dict.fromkeys(row[3] for row in levels))


def window(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that the figures use; all of them if no window was marked."""
    return rows.filter(pl.col("in_window").fill_null(True))


def ok(rows: pl.DataFrame) -> pl.DataFrame:
    return window(rows).filter(pl.col("outcome") == "ok")


def scale(largest: float | None) -> tuple[float, str]:
    """(factor, unit): milliseconds below 10 s, seconds above."""
    return (1e3, "ms") if largest is None or largest < 10 else (1.0, "s")


def nothing(title: str, sentence: str) -> alt.Chart:
    """A chart that says why there is none."""
    a = altair()
    text = (
        a.Chart(a.Data(values=[{"text": sentence}]))
        .mark_text(fontSize=13, align="left")
        .encode(text="text:N", x=a.value(12))
    )
    return text.properties(title=title, width=WIDTH, height=60)  # type: ignore[no-any-return]


def head(a: ModuleType) -> Any:
    """The name of a level above its panel."""
    return a.Header(labelAngle=0, labelAnchor="start", labelOrient="top", labelPadding=2)


def colour(a: ModuleType, order: list[str], title: str = "Scenario, load") -> Any:
    shades = a.Scale(domain=order, range=ramp(len(order)))
    return a.Color(
        "series:N", sort=order, scale=shades, title=title, legend=a.Legend(symbolOpacity=1, symbolStrokeWidth=0)
    )


def ramp(n: int) -> list[str]:
    """`n` colours in order, from green over blue to violet: the first level is the lightest. Readers who do not see colours tell
    them apart by lightness."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in RAMP])
    at = np.linspace(0, len(RAMP) - 1, n) if n > 1 else np.array([2.0])
    mixed = [np.interp(at, np.arange(len(RAMP)), stops[:, i]) for i in range(3)]
    return ["#" + "".join(f"{round(x):02x}" for x in rgb) for rgb in zip(*mixed, strict=True)]


def outcome_colour(a: ModuleType, present: list[str]) -> Any:
    """An outcome has the same colour in every chart; only success is green."""
    shades = [OUTCOME_COLOURS[outcome] for outcome in present]
    return a.Color("outcome:N", sort=present, scale=a.Scale(domain=present, range=shades), title="Outcome")


def ecdf_points(values: NDArray[np.float64], cut: NDArray[np.bool_] | None = None) -> list[tuple[float, float]]:
    """(value, share at or below it), at most POINTS of them, denser in the tail. With `cut`, values that are only known to be
    larger: the share then comes from the survival curve, and ends below 1."""
    n = len(values)
    if cut is not None and cut.any():
        from ..stats.survival import survival_curve

        ordered, survival = survival_curve(values, cut)
        shares = 1 - survival
    else:
        ordered, shares = np.sort(values), np.arange(1, n + 1) / n
    ranks = np.unique(
        np.concatenate(
            [np.linspace(0, n - 1, POINTS // 2), (n - 1) * (1 - np.geomspace(1, 1 / max(n, 2), POINTS // 2))]
        ).astype(int)
    )
    return [(float(ordered[i]), float(shares[i])) for i in ranks]


def tips(a: ModuleType, unit: str) -> list[Any]:
    return [
        a.Tooltip("series:N", title="level"),
        a.Tooltip("x:Q", title=unit, format=",.2f"),
        a.Tooltip("share:Q", format=".1%"),
    ]


def histogram(
    a: ModuleType,
    title: str,
    subtitle: list[str],
    values: dict[str, NDArray[np.float64]],
    order: list[str],
    unit: str,
    what: str,
    marks: pl.DataFrame | None = None,
) -> alt.Chart:
    """A level below the other; `marks`: percentiles (`series`, `p`, `x`, `low`, `high`, `early`) drawn as rules and bands."""
    rows = pl.DataFrame(_bars(values), infer_schema_length=None)
    frame = small(rows if marks is None else pl.concat([rows, marks], how="diagonal_relaxed"))
    tips = [
        "series:N",
        a.Tooltip("from:Q", format=",.2f"),
        a.Tooltip("to:Q", format=",.2f"),
        a.Tooltip("share:Q", format=".1%"),
        a.Tooltip("n:Q", title=what),
    ]
    bars = a.Chart().mark_bar(stroke="white", strokeWidth=0.5)
    bars = bars.transform_filter("isValid(datum.n)").encode(
        x=a.X("from:Q", bin="binned", title=f"{title}, {unit}"),
        x2="to:Q",
        y=a.Y("share:Q", title=f"Share of {what}", axis=a.Axis(format="%")),
        color=colour(a, order).legend(None),
        tooltip=tips,
    )
    layers = [bars] if marks is None else [bars, *_percentile_rules(a, unit)]
    whole = a.layer(*layers, data=frame).properties(width=WIDTH, height=110)
    chart = whole.facet(row=a.Row("series:N", sort=order, title=None, header=head(a)))
    return chart.properties(title=a.Title(title, subtitle=subtitle))  # type: ignore[no-any-return]


def _bars(values: dict[str, NDArray[np.float64]]) -> list[dict[str, object]]:
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
    return rows


def _percentile_rules(a: ModuleType, unit: str) -> list[Any]:
    base = a.Chart().transform_filter("isValid(datum.p) && isValid(datum.x)")
    tips = ["p:N", *(a.Tooltip(f"{c}:Q", title=f"{t}, {unit}", format=",.2f") for c, t in _PERCENTILE.items())]
    known = base.transform_filter("isValid(datum.low) && isValid(datum.high)")
    interval = known.mark_rect(opacity=0.15, color=INK).encode(x="low:Q", x2="high:Q", tooltip=tips)
    clock = base.transform_filter("isValid(datum.early)").mark_rect(opacity=0.2, color=CLOCK)
    rule = base.mark_rule(strokeWidth=1.5).encode(x="x:Q", tooltip=tips)
    names = [  # each at its own height: where percentiles are close their names would cover each other
        base.transform_filter(f"datum.p == 'p{p}'")
        .mark_text(align="left", dx=3, fontSize=10)
        .encode(x="x:Q", y=a.value(7 + 11 * i), text="p:N")
        for i, p in enumerate(RULES)
    ]
    return [interval, clock.encode(x="early:Q", x2="x:Q"), rule, *names]

"""What the charts share: how a level is called and coloured, units, points of an ECDF, a histogram, and a chart that says why
there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..display import PALETTE, enable_charts
from . import statistics as st

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 480, 240
POINTS = 120
BARS = 120
RULES = (50, 90, 99)
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


def altair() -> Any:
    import altair

    enable_charts()
    return altair


def rows(run: Any) -> pl.DataFrame:
    frame = run if isinstance(run, pl.DataFrame) else run.requests
    return frame.with_columns(series=label())


def label() -> pl.Expr:
    """What a level is called in a legend: the load, and the scenario in front."""
    unit = pl.when(pl.col("load") == "request_rate").then(pl.lit("/s")).otherwise(pl.lit(" in flight"))
    level = pl.col("level").map_elements(lambda x: f"{x:g}", return_dtype=pl.String)
    return pl.col("scenario") + pl.lit(", ") + level + unit


def order(rows: pl.DataFrame) -> list[str]:
    return rows.sort("scenario", "load", "level")["series"].unique(maintain_order=True).to_list()


def window(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that the figures use; all of them where no window was marked."""
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


def colour(a: Any, order: list[str], title: str = "Scenario, load") -> Any:
    return a.Color("series:N", sort=order, scale=a.Scale(domain=order, range=(PALETTE * 9)[: len(order)]), title=title)


def outcome_colour(a: Any, present: list[str]) -> Any:
    """An outcome has the same colour in every chart; only success is green."""
    shades = [OUTCOME_COLOURS[outcome] for outcome in present]
    return a.Color("outcome:N", sort=present, scale=a.Scale(domain=present, range=shades), title="Outcome")


def ecdf_points(values: np.ndarray[Any, Any], cut: np.ndarray[Any, Any] | None = None) -> list[tuple[float, float]]:
    """(value, share at or below it), at most POINTS of them, denser in the tail. With `cut`, values that are only known to be
    larger: the share then comes from the survival curve, and ends below 1."""
    n = len(values)
    if cut is not None and cut.any():
        ordered, survival = st.survival_curve(values, cut)
        shares = 1 - survival
    else:
        ordered, shares = np.sort(values), np.arange(1, n + 1) / n
    ranks = np.unique(
        np.concatenate(
            [np.linspace(0, n - 1, POINTS // 2), (n - 1) * (1 - np.geomspace(1, 1 / max(n, 2), POINTS // 2))]
        ).astype(int)
    )
    return [(float(ordered[i]), float(shares[i])) for i in ranks]


def tips(a: Any, unit: str) -> list[Any]:
    return [
        a.Tooltip("series:N", title="level"),
        a.Tooltip("x:Q", title=unit, format=",.2f"),
        a.Tooltip("share:Q", format=".1%"),
    ]


def histogram(
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
            color=colour(a, order).legend(None),
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

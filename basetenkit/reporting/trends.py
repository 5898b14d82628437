"""One figure over a history of runs: steps, drift and outliers.

Each run is one observation: a narrow interval of one run shows nothing about the next day. Figures are compared as logarithms,
shares of requests as logits, so that a share of 0 or 1 and a rate of 0 count like all others. `watch` detects when and where a
series has changed, with a known rate of false alarms, which daily checks do not increase. A run is an outlier if it is far from
the course of its part, compared with the part's own spread, and its own interval does not include that course. Both rates hold
over all series together.

The rates assume that runs are independent. If each run is similar to the one before it, false alarms are far more frequent, so
this is reported if it is detected (`tests/benchmarks/trend_alarms.py` has the rates).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..analysis.comparison import comparable
from ..analysis.cost import COSTS
from ..analysis.gates import figure_title
from ..analysis.given import figure_name
from ..analysis.history import history
from ..analysis.metrics import METRICS, headline
from ..analysis.next_run import next_interval
from ..analysis.scales import Scaled, filled, own_errors, scaled
from ..config.loads import load_of
from ..config.price import Price
from ..core.tables import Html, html_table, interval, show, stacked
from ..core.types import NewRow
from ..results.schema import OPEN_LOOP
from ..stats import intervals as st
from ..stats.watch import (
    LEAST_RUNS,
    OUTLIER_LENGTH,
    RUN_LENGTH,
    alarmed,
    change_points,
    demanded,
    excursion,
    line,
    outliers,
    theil_sen,
)
from ..storage.address import Place
from . import chart_utils as d
from .altair_renderer import PALETTE

if TYPE_CHECKING:
    import altair as alt

ALIKE = 0.3
SERIES = ["url", "model", "request_format", "stream", "request_params", "scenario", "batch_size", "load", "level"]
Array = NDArray[np.float64]
_POINTS = {
    "series": pl.String(), "run": pl.String(), "started_at": pl.Datetime("us", "UTC"), "value": pl.Float64(),
    "low": pl.Float64(), "high": pl.Float64(), "part": pl.Int64(), "course": pl.Float64(), "outlier": pl.Boolean(),
}  # fmt: skip
_NUMBERS: dict[str, Any] = dict.fromkeys(("before", "after", "ratio", "low", "high"), pl.Float64())


# Dates and times of an axis, by its step: 24 hours, as its title says UTC and vega's own hours have no "am" or "pm".
_CLOCK = dict.fromkeys(("milliseconds", "seconds"), "%H:%M:%S") | dict.fromkeys(("minutes", "hours"), "%H:%M")
_CLOCK |= dict.fromkeys(("date", "week"), "%d %b") | {"month": "%b %Y", "year": "%Y"}


@dataclass(frozen=True)
class Trends:
    """What `bk.trends` returns for `metric`. `points`: one row per run and series, by date: `series`, `run`, `started_at`,
    `value`, `low`, `high`, `part` (from 0), `course` (the level or line of its part at that date), `outlier`. `events`: one row
    per step, drift or outlier: `series`, `kind`, `started_at`, `run`, `before`, `after`, `ratio` (after / before, null if
    `before` is 0; for a drift with `low` and `high`, 95%). `words`: notes to read with the figures. `next`: one row per series
    with the range that is expected of its next run if nothing changes: `value`, `low`, `high` (95%), from the `n` runs of its
    last part; no interval if the part drifts, or has fewer than five runs."""

    metric: str
    points: pl.DataFrame
    events: pl.DataFrame
    words: list[str]
    next: pl.DataFrame

    def _table(self) -> Html:
        factor, name = self._unit()
        rows = []
        for row in self.events.iter_rows(named=True):
            before, after = (show(None if row[x] is None else row[x] * factor) for x in ("before", "after"))
            change = None if row["ratio"] is None else interval(*(row[x] for x in ("ratio", "low", "high")))
            shown = {"series": row["series"], "what": row["kind"], "since": f"{row['started_at']:%Y-%m-%d %H:%M:%S}"}
            shown |= {"run": Path(row["run"]).name, f"before, {name}": before, f"after, {name}": after}
            rows.append(shown | {"after / before": change})
        return html_table(rows, f"{figure_title(self.metric)}: what happened")

    def chart(self, limit: float | None = None) -> alt.Chart:
        """The runs by date with their intervals, the level or line of each part, and the outliers; one chart per series, one
        below the other. `limit`: a value of the figure, in its own unit, that is drawn as a dashed line."""
        a, title = d.altair(), figure_title(self.metric)
        title = title[:1].upper() + title[1:]
        if not self.points.height:
            return d.nothing(title, "No complete run has this figure.")
        factor, unit = self._unit()
        scaled = [pl.col(x) * factor for x in ("value", "low", "high", "course")]
        points = self.points.with_columns(scaled, run=pl.col("run").str.split("/").list.last())
        base = a.Chart().encode(
            x=a.X("started_at:T", title="Start of the run, UTC", scale=a.Scale(type="utc"), axis=a.Axis(format=_CLOCK))
        )
        y = a.Y("value:Q", title=f"{title}, {unit}".removesuffix(", "), scale=a.Scale(zero=False, padding=8))
        said = {True: "outlier", False: "run"}
        which = a.Color(
            "what:N", title=None, scale=a.Scale(domain=list(said.values()), range=[PALETTE[0], PALETTE[3]][::-1])
        )
        tips = ["run:N", a.Tooltip("value:Q", format=",.3f"), a.Tooltip("course:Q", format=",.3f")]
        dots = base.mark_point(filled=True, size=45, opacity=1).encode(y=y, color=which, tooltip=tips)
        bars = base.mark_rule().encode(y="low:Q", y2="high:Q", color=which)
        line = base.mark_line(strokeWidth=2, color="#888888").encode(y="course:Q", detail="part:N")
        frame = points.with_columns(what=pl.col("outlier").replace_strict(said, return_dtype=pl.String))
        rule = a.Chart().mark_rule(strokeDash=[6, 3])
        asked = [] if limit is None else [rule.encode(y=a.datum(limit * factor))]
        layers = a.layer(line, bars, dots, *asked, data=frame).properties(width=d.WIDTH, height=d.HEIGHT // 2)
        head = a.Header(labelAngle=0, labelAnchor="start", labelOrient="top")
        row = a.Row("series:N", title=None, header=head)
        return layers.facet(row=row).properties(title=title)  # type: ignore[no-any-return]

    def _unit(self) -> tuple[float, str]:
        unit, _ = comparable()[self.metric]
        return (1e3, "ms") if unit == "s" else (1.0, unit)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        words = html_table([{"to be read with it": w} for w in self.words])
        return {"text/html": stacked(self._table(), words), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return "\n".join([repr(self._table()), *self.words])


def trends(runs: Place | pl.LazyFrame, metric: str = "ttft_s_p50", by: Sequence[str] = SERIES) -> Trends:
    """Steps, drift and outliers of one figure of the summary over a history of runs.

    `runs`: a folder of saved runs, or `bk.history` of one, filtered as you like. `metric`: a column of the summary that has an
    interval, such as "ttft_s_p50"; in an open loop a latency counts from when its request was due. `by`: the columns that
    distinguish series. Runs that are not complete, cannot be read or lack the figure are left out, and `words` has their
    number. A figure of 0 is used. By chance alone, about one run in 2,000 is reported as a step or a drift, and one in 4,000 as
    an outlier, over all series together and however often you look. ConfigError if there is no such figure; StoreError if there
    is no such folder.
    """
    metric = figure_name(metric, comparable(), "trends")
    frame = _scan(runs, metric, list(by))
    usable = pl.col("problem").is_null() & pl.col("complete") & pl.col("value").is_not_null()
    kept = frame.filter(usable).sort("started_at")
    parts = [part for _, part in kept.group_by("series", maintain_order=True)]
    scales = [_scaled(metric, part) for part in parts]
    found = [excursion(x.x, x.floors) for x in scales if len(x.x) >= LEAST_RUNS]
    length, many = demanded(found), max(len(found), 1)
    judged = [_judged(part, x, length, OUTLIER_LENGTH * many) for part, x in zip(parts, scales, strict=True)]
    points = pl.concat([frame for frame, _ in judged]) if judged else pl.DataFrame(schema=_POINTS)
    events = [event for frame, drifts in judged for event in _events(frame, drifts)]
    schema: dict[str, Any] = {
        "series": pl.String(),
        "kind": pl.String(),
        "started_at": pl.Datetime("us", "UTC"),
        "run": pl.String(),
    }
    return Trends(
        metric,
        points,
        pl.DataFrame(events, schema=schema | _NUMBERS),
        [*_words(frame, points, judged), *_prices(runs, metric)],
        _next(metric, judged),
    )


def _scan(runs: Place | pl.LazyFrame, metric: str, by: list[str]) -> pl.DataFrame:
    """One scan: of all runs their date, what names their series, and the figure with its interval."""
    lazy = runs if isinstance(runs, pl.LazyFrame) else history(runs)
    base, _, stat = metric.rpartition("_")
    due = f"{headline(base, 'request_rate')}_{stat}" if base in METRICS else metric
    value = [
        pl.when(OPEN_LOOP).then(pl.col(f"{due}{end}")).otherwise(pl.col(f"{metric}{end}")).alias(name)
        for name, end in (("value", ""), ("low", "_low"), ("high", "_high"))
    ]
    sent = pl.col("in_window") if "in_window" in lazy.collect_schema() else pl.lit(None)
    about = ("run", "started_at", "complete", "problem")
    frame = lazy.select(*about, *by, *value, sent.cast(pl.Float64).alias("n")).collect()
    return frame.with_columns(series=_named(frame, by))


def _named(frame: pl.DataFrame, by: list[str]) -> pl.Series:
    """A series by what tells it from the others, its load always."""
    several = [c for c in by if frame[c].drop_nulls().n_unique() > 1 or c == "scenario"]
    rows = frame.select(*dict.fromkeys([*several, *(c for c in ("load", "level") if c in by)])).iter_rows(named=True)
    return pl.Series("series", [_label(row) for row in rows], dtype=pl.String)


def _label(row: NewRow) -> str:
    row = dict(row)
    level, load = row.pop("level", None), row.pop("load", None)
    named = [f"batches of {value}" if name == "batch_size" else show(value) for name, value in row.items()]
    at = "" if level is None or load is None else str(load_of(load, level))
    return " at ".join(filter(None, (", ".join(named), at)))


def _scaled(metric: str, part: pl.DataFrame) -> Scaled:
    return scaled(metric, part["value"].to_numpy(), part["n"].fill_null(float("nan")).to_numpy())


def _judged(part: pl.DataFrame, on: Scaled, length: float, far: float) -> tuple[pl.DataFrame, _Course]:
    """One series with its parts, their course, and the runs that stand out. `length`, `far`: runs between two false alarms and
    between two that stand out by chance."""
    at = part["started_at"].dt.timestamp("us").to_numpy() / 1e6
    values = part["value"].to_numpy()
    course = _Course(
        on, np.zeros(len(values), int), np.array(on.x), np.array(values, float), np.zeros(len(values), bool)
    )
    edges = sorted({0, *change_points(on.x, at, on.floors, length), len(values)})
    for number, (i, j) in enumerate(pairwise(edges)):
        piece = on.part(i, j)
        course.part[i:j] = number
        if alarmed(piece.x, piece.floors, length):
            slope, low, high = theil_sen(piece.x, at[i:j])
            course.x[i:j] = line(piece.x, at[i:j] - at[i], slope)
            course.level[i:j] = piece.back(course.x[i:j])
            course.drifts[number] = [_end(piece, course.x[i], x * (at[j - 1] - at[i])) for x in (low, high)]
        else:
            course.x[i:j], course.level[i:j] = np.median(piece.x), np.median(values[i:j])
        course.far[i:j] = outliers(piece.x - course.x[i:j], piece.own, far)
    course.alike = st.lag_one(on.x - course.x)
    return _points(part, course), course


@dataclass
class _Course:
    """The parts of one series, `on` its scale: of each run its part, what the part's line or level says then, on the scale and as
    a figure, and whether it stands out; of each part that drifts what its line's low and high slope end at."""

    on: Scaled
    part: Any
    x: Array
    level: Array
    far: Any
    drifts: dict[int, list[float]] = field(default_factory=dict)
    alike: float = 0.0


def _end(piece: Scaled, start: float, rise: float) -> float:
    return float(piece.back(np.full(len(piece.x), start + rise))[-1])


def _points(part: pl.DataFrame, course: _Course) -> pl.DataFrame:
    level = pl.Series(course.level)
    reaches = (pl.col("low").is_null() | (pl.col("low") <= level)) & (
        pl.col("high").is_null() | (pl.col("high") >= level)
    )
    return part.with_columns(
        part=pl.Series(course.part), course=level, outlier=pl.Series(course.far, dtype=pl.Boolean) & ~reaches
    ).select(*_POINTS)


def _events(part: pl.DataFrame, course: _Course) -> Iterator[NewRow]:
    rows = part.to_dicts()
    for a, b in pairwise(rows):
        if a["part"] != b["part"]:
            yield _event("step", b, a["course"], b["course"])
    for number, ends in course.drifts.items():
        first, *_, last = part.filter(pl.col("part") == number).to_dicts()
        bounds = {name: _ratio(first["course"], end) for name, end in zip(("low", "high"), ends, strict=True)}
        yield _event("drift", first, first["course"], last["course"]) | bounds
    for row in rows:
        if row["outlier"]:
            yield _event("outlier", row, row["course"], row["value"])


def _event(kind: str, row: NewRow, before: float, after: float) -> NewRow:
    about = {name: row[name] for name in ("series", "started_at", "run")}
    return about | {"kind": kind, "before": before, "after": after, "ratio": _ratio(before, after)}


def _ratio(before: float, after: float) -> float | None:
    return after / before if before else None


def _next(metric: str, judged: list[tuple[pl.DataFrame, _Course]]) -> pl.DataFrame:
    rows = []
    for points, course in judged:
        last = int(course.part[-1])
        part = points.filter(pl.col("part") == last)
        row = {"series": part["series"][0], "n": part.height}
        if last not in course.drifts:
            on = course.on.part(points.height - part.height, points.height)
            bounds = (part[name].fill_null(float("nan")).to_numpy() for name in ("value", "low", "high"))
            found = next_interval(on.x, filled(own_errors(on, *bounds)))
            for name in ("value", "low", "high"):
                place = getattr(found, name)
                row[name] = None if place is None else float(on.back(np.full(part.height, place))[-1])
        rows.append(row)
    schema: dict[str, Any] = {"series": pl.String(), "n": pl.Int64()} | dict.fromkeys(
        ("value", "low", "high"), pl.Float64()
    )
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def _prices(runs: Place | pl.LazyFrame, metric: str) -> Iterator[str]:
    """The sources of the prices that costs were made of."""
    lazy = runs if isinstance(runs, pl.LazyFrame) else history(runs)
    if metric not in COSTS or "price" not in lazy.collect_schema():
        return
    counted = lazy.filter(pl.col("problem").is_null()).select("price").collect()["price"].value_counts(sort=True)
    for text, n in counted.iter_rows():
        origin = "unknown, no price is given" if text is None else Price.model_validate_json(text).origin
        yield f"Costs of {n} row(s): {origin}."


def _words(frame: pl.DataFrame, points: pl.DataFrame, judged: list[tuple[pl.DataFrame, _Course]]) -> Iterator[str]:
    for part, course in judged:
        series = part["series"][0]
        if part.height < LEAST_RUNS:
            yield f"{series}: {part.height} run(s) are too few to look for steps or drift; {LEAST_RUNS} at least."
        elif course.alike > ALIKE:
            yield (
                f"{series}: a run takes after the one before it (lag-1 autocorrelation {course.alike:.2f}). Then a step or a "
                "drift may be only a spell, and false alarms are many times as frequent as the next sentences say."
            )
    readable = pl.col("problem").is_null() & pl.col("complete")
    lacking = frame.filter(readable & pl.col("value").is_null())
    if lacking.height:
        yield (
            f"{lacking.height} complete run(s) have no such figure: if their requests failed, bk.trends with metric "
            '"error_rate" or "goodput" shows when.'
        )
    if left_out := frame.height - points.height - lacking.height:
        yield f"{left_out} of {frame.height} rows are left out: not complete, or not readable."
    yield (
        f"Steps and drift: by chance alone, about one in {RUN_LENGTH:,} runs raises a false alarm, over all series together and "
        f"however often you look; an outlier, one in {OUTLIER_LENGTH:,}. This takes each run for independent of the next."
    )
    yield (
        "They say when a figure changed and not why: the cause may be the endpoint, the network or the machine that measured."
    )

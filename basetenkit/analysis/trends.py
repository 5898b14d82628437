"""What a history of runs says of one figure over time: steps, drift, and runs that stand out.

Each run is one observation; that its own interval is narrow says nothing of the next day. Steps are found by ranks (Pettitt
1979) with a permutation test, the series cut in two where there is one, and each part looked at again. A steady drift would
look like a step, so a part is first fitted by a line (Theil 1950, Sen 1968; Mann and Kendall's test) and cut only where a step
fits it better. A run stands out where it is far from its part's course by the part's own spread (Iglewicz and Hoaglin 1993),
and its own interval does not reach back.

The tests take runs for independent of each other. Of histories of 30 and 100 such runs without a step 1% are cut, as they should
be; where each run takes after the one before (a lag-1 autocorrelation of 0.3), 6 to 8%, and at 0.6 about a third: so that is said
where it is seen. A step of 10% among runs that vary by 5% is found in 92% and more (`tests/benchmarks/trend_alarms.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ..display import PALETTE, Html, html_table, interval, show
from . import drawing as d
from . import statistics as st
from .comparison import figures
from .gates import figure_title
from .given import figure_name
from .history import history
from .metrics import METRICS, headline

if TYPE_CHECKING:
    import altair as alt

LEAST_RUNS, LEAST_PART, ALPHA, FAR, ALIKE = 10, 4, 0.01, 3.5, 0.3
SHUFFLES = 1999
SERIES = ["url", "model", "request_format", "stream", "request_params", "scenario", "batch_size", "load", "level"]
Array = np.ndarray[Any, np.dtype[np.float64]]
_NUMBERS: dict[str, Any] = dict.fromkeys(("before", "after", "ratio", "low", "high"), pl.Float64())


@dataclass(frozen=True)
class Trends:
    """What `trends` found of `metric`. `points`: one row a run and series, by date: `series`, `run`, `started_at`, `value`,
    `low`, `high`, `part` (from 0), `course` (what its part's line or level says then), `outlier`. `events`: one row a step,
    drift or outlier: `series`, `kind`, `started_at`, `run`, `before`, `after`, `ratio` (after / before; of a drift with `low`
    and `high`, 95%). `words`: what has to be said with them."""

    metric: str
    points: pl.DataFrame
    events: pl.DataFrame
    words: list[str]

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

    def chart(self) -> alt.Chart:
        """The runs by date with their intervals, the level or line of each part, and the outliers, a series below the other."""
        a, title = d.altair(), figure_title(self.metric)
        title = title[:1].upper() + title[1:]
        if not self.points.height:
            return d.nothing(title, "No complete run has this figure.")
        factor, unit = self._unit()
        scaled = [pl.col(x) * factor for x in ("value", "low", "high", "course")]
        points = self.points.with_columns(scaled, run=pl.col("run").str.split("/").list.last())
        base = a.Chart().encode(x=a.X("started_at:T", title="Start of the run, UTC", scale=a.Scale(type="utc")))
        y = a.Y("value:Q", title=f"{title}, {unit}", scale=a.Scale(zero=False))
        said = {True: "outlier", False: "run"}
        which = a.Color(
            "what:N", title=None, scale=a.Scale(domain=list(said.values()), range=[PALETTE[0], PALETTE[3]][::-1])
        )
        tips = ["run:N", a.Tooltip("value:Q", format=",.3f"), a.Tooltip("course:Q", format=",.3f")]
        dots = base.mark_point(filled=True, size=45, opacity=1).encode(y=y, color=which, tooltip=tips)
        bars = base.mark_rule().encode(y="low:Q", y2="high:Q", color=which)
        line = base.mark_line(strokeWidth=2, color="#888888").encode(y="course:Q", detail="part:N")
        frame = points.with_columns(what=pl.col("outlier").replace_strict(said, return_dtype=pl.String))
        layers = a.layer(line, bars, dots, data=frame).properties(width=d.WIDTH, height=d.HEIGHT // 2)
        head = a.Header(labelAngle=0, labelAnchor="start", labelOrient="top")
        row = a.Row("series:N", title=None, header=head)
        return layers.facet(row=row).properties(title=title)  # type: ignore[no-any-return]

    def _unit(self) -> tuple[float, str]:
        unit, _ = figures()[self.metric]
        return (1e3, "ms") if unit == "s" else (1.0, unit)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        words = html_table([{"to be read with it": w} for w in self.words])
        pages = [x._repr_mimebundle_()["text/html"] for x in (self._table(), words)]
        return {"text/html": "".join(pages), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return "\n".join([repr(self._table()), *self.words])


def trends(runs: str | Path | pl.LazyFrame, metric: str = "ttft_s_p50", by: Sequence[str] = SERIES) -> Trends:
    """Steps, drift and outliers of one figure of the summary over a history of runs.

    `runs`: a folder of saved runs, or `bk.history` of one, filtered as you like. `metric`: a column of the summary that has an
    interval, such as "ttft_s_p50"; in an open loop a latency counts from when its request was due. `by`: what tells one series
    from another. Runs that are not complete, cannot be read or lack the figure are left out, and `words` says how many.
    ConfigError where there is no such figure; StoreError where there is no such folder.
    """
    metric = figure_name(metric, figures(), "trends")
    frame = _scan(runs, metric, list(by))
    usable = pl.col("problem").is_null() & pl.col("complete") & (pl.col("value") > 0)
    kept = frame.filter(usable).sort("started_at")
    parts = kept.group_by("series", maintain_order=True)
    judged = [_judged(part) for _, part in parts]
    points = pl.concat(judged) if judged else _judged(kept)
    events = [event for part in judged for event in _events(part)]
    schema: dict[str, Any] = {
        "series": pl.String(),
        "kind": pl.String(),
        "started_at": pl.Datetime("us", "UTC"),
        "run": pl.String(),
    }
    return Trends(metric, points, pl.DataFrame(events, schema=schema | _NUMBERS), list(_words(frame, points)))


def _scan(runs: str | Path | pl.LazyFrame, metric: str, by: list[str]) -> pl.DataFrame:
    """One scan: of all runs their date, what names their series, and the figure with its interval."""
    lazy = runs if isinstance(runs, pl.LazyFrame) else history(runs)
    base, _, stat = metric.rpartition("_")
    due = f"{headline(base, 'request_rate')}_{stat}" if base in METRICS else metric
    open_loop = pl.col("load") == "request_rate"
    value = [
        pl.when(open_loop).then(pl.col(f"{due}{end}")).otherwise(pl.col(f"{metric}{end}")).alias(name)
        for name, end in (("value", ""), ("low", "_low"), ("high", "_high"))
    ]
    frame = lazy.select("run", "started_at", "complete", "problem", *by, *value).collect()
    return frame.with_columns(series=_named(frame, by))


def _named(frame: pl.DataFrame, by: list[str]) -> pl.Series:
    """A series by what tells it from the others, its load always."""
    several = [c for c in by if frame[c].drop_nulls().n_unique() > 1 or c == "scenario"]
    rows = frame.select(*dict.fromkeys([*several, *(c for c in ("load", "level") if c in by)])).iter_rows(named=True)
    return pl.Series("series", [_label(row) for row in rows], dtype=pl.String)


def _label(row: dict[str, Any]) -> str:
    row = dict(row)
    level, load = row.pop("level", None), row.pop("load", None)
    tail = [] if level is None else [f"{level:g}/s" if load == "request_rate" else f"{level:g} in flight"]
    named = [f"batches of {value}" if name == "batch_size" else show(value) for name, value in row.items()]
    return ", ".join([*named, *tail])


def _judged(part: pl.DataFrame) -> pl.DataFrame:
    """One series with its parts, their course, and the runs that stand out."""
    frame = part.select("series", "run", "started_at", "value", "low", "high")
    logs = np.log(frame["value"].to_numpy())
    at = frame["started_at"].dt.timestamp("us").to_numpy() / 1e6
    which, course, far = np.zeros(len(logs), int), np.array(logs), np.zeros(len(logs), bool)
    edges = sorted({0, *change_points(logs, at), len(logs)})
    for number, (i, j) in enumerate(pairwise(edges)):
        which[i:j], course[i:j] = number, _course(logs[i:j], at[i:j])
        far[i:j] = outliers(logs[i:j] - course[i:j])
    level = pl.Series(np.exp(course))
    reaches = (pl.col("low").is_null() | (pl.col("low") <= level)) & (
        pl.col("high").is_null() | (pl.col("high") >= level)
    )
    return frame.with_columns(part=pl.Series(which), course=level, outlier=pl.Series(far) & ~reaches)


def change_points(values: Array, at: Array) -> list[int]:
    """Where a series steps: the index of each part's first value but the first's. `at`: when each was (s). A series of fewer
    than LEAST_RUNS values is not cut, and no part of one is shorter than LEAST_PART."""
    n = len(values)
    if n < LEAST_RUNS:
        return []
    split, p = step(values)
    if p > ALPHA or _steady(values, at, split):
        return []
    left = change_points(values[:split], at[:split])
    return [*left, split, *(split + x for x in change_points(values[split:], at[split:]))]


def step(values: Array, seed: int = 0) -> tuple[int, float]:
    """(the index at which a series most likely steps, p): Pettitt's rank statistic against SHUFFLES orders of the same values."""
    ranks = pl.Series(values).rank().to_numpy() - (len(values) + 1) / 2
    inside = slice(LEAST_PART - 1, len(values) - LEAST_PART)
    found = np.abs(np.cumsum(ranks))[inside]
    shuffled = np.random.default_rng(seed).permuted(np.tile(ranks, (SHUFFLES, 1)), axis=1)
    most = np.abs(np.cumsum(shuffled, axis=1))[:, inside].max(axis=1)
    return int(found.argmax()) + LEAST_PART, float((1 + (most >= found.max() - 1e-9).sum()) / (SHUFFLES + 1))


def _steady(values: Array, at: Array, split: int) -> bool:
    """Whether a line fits better than a step does, by absolute deviations."""
    stepped = sum(float(np.abs(x - np.median(x)).sum()) for x in (values[:split], values[split:]))
    slope = theil_sen(values, at)[0]
    return float(np.abs(values - _line(values, at, slope)).sum()) < stepped


def _line(values: Array, at: Array, slope: float) -> Array:
    line: Array = np.median(values - slope * at) + slope * at
    return line


def _course(values: Array, at: Array) -> Array:
    """The line of a part that drifts, else its level."""
    drifts = len(values) >= LEAST_RUNS and st.mann_kendall(values)[1] < ALPHA
    return _line(values, at - at[0], theil_sen(values, at)[0] if drifts else 0.0)


def theil_sen(values: Array, at: Array) -> tuple[float, float, float]:
    """(slope a second, low, high): the median of the slopes between pairs, its 95% interval by the ranks (Sen 1968)."""
    i, j = np.triu_indices(len(values), 1)
    apart = at[j] > at[i]
    slopes = np.sort((values[j] - values[i])[apart] / (at[j] - at[i])[apart])
    if not len(slopes):
        return 0.0, 0.0, 0.0
    n = len(values)
    half = st.Z975 * np.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    low, high = (int(np.clip(round(len(slopes) / 2 + x), 0, len(slopes) - 1)) for x in (-half, half))
    return float(np.median(slopes)), float(slopes[low]), float(slopes[high])


def outliers(residuals: Array) -> Any:
    """Which of a part's residuals are FAR of its own spreads (1.4826 times the median absolute one) away; none of fewer than
    LEAST_PART values."""
    if len(residuals) < LEAST_PART:
        return np.zeros(len(residuals), bool)
    spread = 1.4826 * float(np.median(np.abs(residuals)))
    return np.abs(residuals) > FAR * spread


def _events(part: pl.DataFrame) -> Iterator[dict[str, Any]]:
    rows = part.to_dicts()
    for a, b in pairwise(rows):
        if a["part"] != b["part"]:
            yield _event("step", b, a["course"], b["course"])
    for _, piece in part.group_by("part", maintain_order=True):
        first, *_, last = [*piece.to_dicts(), piece.row(-1, named=True)]
        if first["course"] != last["course"]:
            yield _drift(piece, first, last)
    for row in rows:
        if row["outlier"]:
            yield _event("outlier", row, row["course"], row["value"])


def _event(kind: str, row: dict[str, Any], before: float, after: float) -> dict[str, Any]:
    about = {name: row[name] for name in ("series", "started_at", "run")}
    return about | {"kind": kind, "before": before, "after": after, "ratio": after / before}


def _drift(piece: pl.DataFrame, first: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    logs, at = np.log(piece["value"].to_numpy()), piece["started_at"].dt.timestamp("us").to_numpy() / 1e6
    _, low, high = theil_sen(logs, at)
    ends = {name: float(np.exp(slope * (at[-1] - at[0]))) for name, slope in (("low", low), ("high", high))}
    return _event("drift", first, first["course"], last["course"]) | ends


def _words(frame: pl.DataFrame, points: pl.DataFrame) -> Iterator[str]:
    for (series,), part in points.group_by("series", maintain_order=True):
        if part.height < LEAST_RUNS:
            yield f"{series}: {part.height} run(s) are too few to look for steps or drift; {LEAST_RUNS} at least."
        elif (alike := st.lag_one(np.log((part["value"] / part["course"]).to_numpy()))) > ALIKE:
            yield (
                f"{series}: a run takes after the one before it (lag-1 autocorrelation {alike:.2f}), so a step or a drift may "
                "be but a spell: up to a third of such histories have a step where nothing has changed for good."
            )
    left_out = frame.height - points.height
    if left_out:
        yield f"{left_out} of {frame.height} rows are left out: not complete, not readable, or without this figure."
    yield (
        f"Steps and drift are told below a chance of {ALPHA:.0%} each, with each run taken for independent of the next. They say "
        "when a figure changed, and not why: the endpoint, the network and the machine that measured all stand behind it."
    )

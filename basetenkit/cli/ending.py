"""The output at the end of a run in a terminal: the verdict, one row per level, a text histogram, the outcomes of the requests,
the findings by kind, and the run's folder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from rich.console import Console
from rich.text import Text

from ..analysis.metrics import METRICS, felt, headline
from ..analysis.verdict import VerdictStatus
from ..analysis.verdict_sentences import SHORT
from ..config.loads import LevelKey
from ..core.finding_list import SHOWN
from ..core.progress import duration, plain
from ..core.tables import digits
from ..results.schema import LEVEL
from .console import console, grid, width_of

if TYPE_CHECKING:
    from ..runs import Run

BLOCKS, BINS = " ▁▂▃▄▅▆▇█", 40
COLOURS = {
    VerdictStatus.KEPT: "green",
    VerdictStatus.MISSED: "red",
    VerdictStatus.FAILED: "red",
    VerdictStatus.EMPTY: "red",
    VerdictStatus.UNDECIDED: "yellow",
}
MARKS = {"error": ("✗", "red"), "warning": ("!", "yellow"), "note": ("·", "dim")}


def show_end(run: Run, folder: Path | str, missed: Sequence[str]) -> None:
    """Print the end of a run to standard output."""
    from ..reporting.tables import costs

    out = console()
    verdict = run.verdict
    out.print(Text(plain(str(verdict)), style=f"bold {COLOURS.get(verdict.status, '')}".strip()))
    out.print()
    _levels(out, run)
    if run.config.price is not None:
        out.print(f"\n{costs(run)!r}")
    _distributions(out, run)
    out.print(outcomes(run))
    _findings(out, run)
    for sentence in missed:
        out.print(Text(plain(f"missed: {sentence}"), style="red"))
    state = "" if run.complete else ", not complete"
    out.print(f"\n{run.requests.height:,} requests{_took(run)}{state}; saved in {folder}")
    out.print(f"basetenkit open {folder} writes its report; bk.load({str(folder)!r}) reads it")


def _took(run: Run) -> str:
    about = run.manifest.metadata
    return (
        ""
        if about.started_at is None or about.ended_at is None
        else f" in {duration(about.ended_at - about.started_at)}"
    )


def _levels(out: Console, run: Run) -> None:
    """A row per level with intervals if the terminal is wide enough; else a column per level; else values alone."""
    from ..reporting.tables import overview_rows

    rows = overview_rows(run)
    if not rows:
        return
    one = len({row["scenario"] for row in rows}) == 1
    if one:
        out.print(Text(plain(rows[0]["scenario"]), style="dim"))
        rows = [{name: value for name, value in row.items() if name != "scenario"} for row in rows]
    names = list(rows[0])
    titles = ["\n".join(row[name] for name in names[: 1 if one else 2]) for row in rows]
    bare = [
        [value.split(" (")[0] if ", " in name or "/s" in name else value for name, value in row.items()] for row in rows
    ]
    short = [name.replace(" ", "\n") for name in names]
    marks = [[cell[:1] if name == "SLO" else cell for name, cell in zip(names, line, strict=True)] for line in bare]
    few = [i for i, name in enumerate(names) if not name.startswith(("ITL", "clock", "requests/s"))]
    fewest = [i for i in few if not names[i].startswith(("ok", "goodput", "E2E", "TPOT"))]
    forms: list[tuple[list[str], list[list[str]]]] = [
        (names, [list(row.values()) for row in rows]),
        (["", *titles], [[name, *(row[name] for row in rows)] for name in names[1 if one else 2 :]]),
        (names, bare),
        *(([short[i] for i in some], [[row[i] for i in some] for row in marks]) for some in (few, fewest)),
    ]
    fits = [form for form in forms if width_of(*form) <= out.width]
    out.print(grid(*(fits or forms[-1:])[0]))


def _distributions(out: Console, run: Run) -> None:
    """TTFT of each level, or E2E if nothing was streamed, as blocks over one axis, which is logarithmic."""
    name = "ttft_s" if run.summary_wide["ttft_s_p50"].count() else "e2e_s"
    levels = []
    for key in run.summary_wide.select(LEVEL).iter_rows(named=True):
        metric = METRICS[headline(name, key["load"])]
        mine = run.rows.filter("in_window", pl.col("outcome") == "ok", *(pl.col(k) == v for k, v in key.items()))
        values = mine.select(felt(metric)).to_series().drop_nulls().to_numpy() * 1e3
        if len(values[values > 0]):
            levels.append((LevelKey.of(key), metric, values[values > 0]))
    if not levels:
        return
    least, most = (f(f(x) for _, _, x in levels) for f in (min, max))
    edges = np.geomspace(least, most * (1 + 1e-9) if most > least else least * 1.01, BINS + 1)
    one = len({key.scenario for key, _, _ in levels}) == 1
    titles = [str(key.load) if one else str(key) for key, _, _ in levels]
    longest = max(map(len, titles))
    out.print(Text(f"\n{SHORT[levels[0][1].name]}, ms, requests in the window", style="dim"))
    for title, (_, _, x) in zip(titles, levels, strict=True):
        out.print(f"{title:<{longest}}  {blocks(np.histogram(x, edges)[0].tolist())}", no_wrap=True)
    out.print(Text(f"{'':<{longest}}  {digits(least):<{BINS - 8}}{digits(most):>8}\n", style="dim"))


def blocks(counts: Sequence[int]) -> str:
    """Counts as bars of one character; every count above 0 shows.

    >>> blocks([0, 1, 4, 8])
    ' ▁▄█'
    """
    top = max(max(counts), 1)
    return "".join(BLOCKS[math.ceil(n / top * (len(BLOCKS) - 1))] for n in counts)


def outcomes(run: Run) -> str:
    """ "500 planned: 495 ok, 5 http_error": the outcomes of the planned requests."""
    fates = run.fates.drop(LEVEL).sum().row(0, named=True) if run.fates.height else {}
    apart = ("planned", "sent", "preflight", "ramp", "cooldown")
    told = [f"{n:,} {name.replace('never_sent', 'never sent')}" for name, n in fates.items() if n and name not in apart]
    return f"{fates.get('planned', 0):,} requests planned: {', '.join(told) or 'none was sent'}"


def _findings(out: Console, run: Run) -> None:
    groups = run.findings.groups
    if groups:
        out.print(Text("\nWhat to know before reading the figures", style="dim"))
    for group in groups[:SHOWN]:
        mark, style = MARKS[group.severity]
        where = f" ({group.where})" if len(group.findings) > 1 else ""
        line = Text(f"{mark} {group.code}", style=style)
        line.append(plain(f"{where}: {group.text.rstrip('.')}. {group.cure}"), style="default")
        out.print(line)
    if len(groups) > SHOWN:
        rest = ", ".join(group.code for group in groups[SHOWN:])
        out.print(Text(f"and {len(groups) - SHOWN} more: {rest}", style="dim"))

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from basetenkit.analysis import gaps as module
from basetenkit.analysis.gaps import Gaps, gaps
from basetenkit.core.errors import StoreError
from basetenkit.reporting import chart_utils
from basetenkit.reporting.charts import itl_course
from basetenkit.results.run_data import RunData
from basetenkit.stats import intervals as st

from .frames import manifest_of

PS = [0.5, 0.9, 0.95, 0.99]


@pytest.fixture
def few_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small that every level goes to a file and every response is cut by a stretch."""
    monkeypatch.setattr(module, "HELD", 50)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)


def run_of(requests: int, repeats: int = 1, seed: int = 0, levels: int = 2) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows, chunks) of levels whose requests ended in another order than they were sent; some had one chunk or none."""
    rng = np.random.default_rng(seed)
    rows, chunks = [], []
    for level in range(levels):
        for repeat in range(repeats):
            for i in rng.permutation(requests).tolist():
                name = f"{level}-{repeat}-{i}"
                outcome = "ok" if i % 9 else "timeout"
                rows.append((name, "D(1,1)", "concurrency", float(level), repeat, i * 0.1, i > 2, outcome))
                arrival = np.cumsum(rng.gamma(0.5, 0.02 * (1 + repeat), int(rng.integers(0, 12)))).round(4)
                chunks += [(name, j, float(at)) for j, at in enumerate(arrival)]
    names = ["request_id", "scenario", "load", "level", "repeat", "start_s", "in_window", "outcome"]
    kinds = {"request_id": pl.String, "index": pl.Int32, "arrival_s": pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row"), pl.DataFrame(chunks, schema=kinds, orient="row")


def expected(rows: pl.DataFrame, chunks: pl.DataFrame, level: float) -> tuple[Any, Any]:
    """(gaps, repeats) of a level in start order, one response after the other."""
    values, repeats = [], []
    kept = rows.filter((pl.col("level") == level) & pl.col("in_window") & (pl.col("outcome") == "ok"))
    by_name = {
        str(name): part["arrival_s"].to_numpy() for (name,), part in chunks.group_by("request_id", maintain_order=True)
    }
    for name, repeat in kept.sort("repeat", "start_s").select("request_id", "repeat").iter_rows():
        between = np.diff(by_name.get(name, np.zeros(0)))
        values.append(between)
        repeats.append(np.full(len(between), repeat))
    return np.concatenate(values), np.concatenate(repeats)


def same(a: Any, b: Any) -> None:
    assert (a.how, a.n) == (b.how, pytest.approx(b.n, rel=1e-9))
    for mine, theirs in ((a.value, b.value), (a.low, b.low), (a.high, b.high)):
        assert mine == (None if theirs is None else pytest.approx(theirs, rel=1e-9, abs=1e-15))


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("many", [False, True])
def test_what_is_said_of_the_gaps_is_what_statistics_say_of_them_in_start_order(
    many: bool, repeats: int, request: pytest.FixtureRequest
) -> None:
    if many:
        request.getfixturevalue("few_fit")
    rows, chunks = run_of(120, repeats)
    found = gaps(rows, chunks.lazy())
    assert list(found) == [("D(1,1)", "concurrency", 0.0), ("D(1,1)", "concurrency", 1.0)]
    for (_, _, level), got in found.items():
        x, parts = expected(rows, chunks, float(str(level)))
        assert (got.n, got._file is not None) == (len(x), many)
        same(got.mean(), st.mean(x, parts))
        for mine, theirs in zip(got.quantiles(PS), st.quantiles(x, PS, parts), strict=True):
            same(mine, theirs)
        ranks = [1, 2, len(x) // 2, len(x)]
        assert got.at(ranks) == [float(np.sort(x)[r - 1]) for r in ranks]
        assert got.moments().variance == pytest.approx(float(x.var()))


def test_chunks_in_any_order_and_ids_that_two_levels_share_are_each_counted_once(few_fit: None) -> None:
    rows, chunks = run_of(60, levels=1)
    twice = pl.concat([rows, rows.with_columns(level=pl.lit(5.0))])
    straight, mixed = gaps(twice, chunks.lazy()), gaps(twice, chunks.sample(fraction=1, shuffle=True, seed=1).lazy())
    x, _ = expected(rows, chunks, 0.0)
    for found in (straight, mixed):
        assert [g.n for g in found.values()] == [len(x), len(x)]
        for g in found.values():
            same(g.mean(), st.mean(x))


def test_no_room_for_the_file_is_one_sentence(few_fit: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, chunks = run_of(120)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(
        StoreError, match=r"gaps between output chunks cannot be kept in .*missing: .*; TMPDIR names another"
    ):
        gaps(rows, chunks.lazy())


def test_few_and_no_gaps() -> None:
    rows, chunks = run_of(40)
    assert gaps(rows, None) == {}
    assert gaps(rows, chunks.clear().lazy()) == {}
    assert gaps(rows.with_columns(in_window=False), chunks.lazy()) == {}
    few = Gaps(np.zeros(1, int))
    assert few.mean() == st.NOTHING
    few.add(np.array([0.25, 0.5]), np.array([0]), np.array([2]))
    assert (few.mean().value, few.mean().low, few.quantiles([0.5])[0].value) == (0.375, None, 0.25)


def test_a_rank_is_found_among_values_of_any_sign_and_size(few_fit: None) -> None:
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(size=80) * 10.0 ** rng.integers(-9, 3, 80), [0.0, -0.0, math.inf, 5e-324, 1.0, 1.0]])
    many = Gaps(np.zeros(1, int))
    many.add(x, np.array([0]), np.array([len(x)]))
    assert many._file is not None
    assert many.at(range(1, len(x) + 1)) == np.sort(x).tolist()


MEMORY = """
import sys
from pathlib import Path
import numpy as np, polars as pl
from basetenkit.analysis.gaps import gaps
requests, each = 20_000, 400
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024
path = Path(sys.argv[1]) / "chunks.parquet"
one = pl.DataFrame({"index": np.arange(each, dtype=np.int32), "arrival_s": np.arange(each) * 0.01})
parts = [pl.concat([one.with_columns(request_id=pl.lit(f"r{p}-{i}")) for i in range(1000)]) for p in range(20)]
paths = []
for p, part in enumerate(parts):
    paths.append(path.with_name(f"chunks-{p}.parquet"))
    part.write_parquet(paths[-1], row_group_size=100_000)
del parts, part
ids = [f"r{p}-{i}" for p in range(20) for i in range(1000)]
rows = pl.DataFrame({"request_id": ids, "start_s": np.arange(requests) * 0.1}).with_columns(
    scenario=pl.lit("D"), load=pl.lit("concurrency"), level=pl.lit(1.0), repeat=0, in_window=True, outcome=pl.lit("ok"))
Path("/proc/self/clear_refs").write_text("5")
before = peak()
(found,) = gaps(rows, pl.scan_parquet(paths)).values()
said = found.mean(), found.quantiles([0.5, 0.99])
assert found.n == requests * (each - 1), found.n
print(peak() - before, said[0].value)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_millions_of_gaps_take_little_memory(tmp_path: Any) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    more, mean = done.stdout.split()
    assert float(mean) == pytest.approx(0.01)
    assert int(more) < 300, f"{more} MiB for 8,000,000 gaps"


def test_a_chart_of_very_many_gaps_draws_every_so_manieth_request_of_each_level_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows, chunks = run_of(120)
    counts = chunks.group_by("request_id").agg(output_chunks=pl.len().cast(pl.Int64))
    rows = rows.join(counts, on="request_id", how="left").with_columns(series=pl.format("level {}", "level"))
    rows = rows.with_columns(phase=pl.lit("measured"))
    run = RunData.of_frames(manifest_of(rows), rows, chunks, window=None)
    everything = chart_utils.gaps(run, rows)
    assert (chart_utils.every(rows), chart_utils.drawn(rows)) == (1, [])
    monkeypatch.setattr(chart_utils, "GAPS", chart_utils.ok(rows)["output_chunks"].sum() // 3)
    some = chart_utils.gaps(run, rows)
    assert chart_utils.drawn(rows) == [f"One request in {chart_utils.every(rows)}, in order of start"]
    assert set(some["series"]) == set(everything["series"]) == {"level 0.0", "level 1.0"}
    assert everything.height / 6 < some.height < everything.height / 2
    chart = itl_course(run).to_dict()
    assert chart_utils.drawn(rows)[0] in chart["title"]["subtitle"]


def test_gaps_of_a_handful_of_requests_have_no_interval() -> None:
    """Two requests with a hundred gaps each are two looks at the server, not two hundred."""
    from basetenkit.analysis.summary import summarise

    from .frames import chunks_of, rows

    for n, known in ((2, False), (19, False), (20, True)):
        frame = rows(n, in_window=True)
        (got,) = summarise(frame, chunks_of(frame, [0.01, 0.02] * 50).lazy()).to_dicts()
        assert got["itl_s_mean"] == pytest.approx(0.015)
        assert (got["itl_s_mean_low"] is not None) is known
        assert (got["itl_s_p50_low"] is not None) is known

"""The gaps between output chunks of each level, of any number.

A run may have a hundred million chunks, too many for a frame in memory. So they are read in pieces, in the order in which they
were written. A level's gaps are kept in memory if they are few, and otherwise in a temporary file (8 bytes per gap, deleted
with the process). The results are the same either way: each gap's place in start order is known, so batch means are summed as
the gaps come, and a rank is found by narrowing down the bits that the value of that rank has.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
import polars as pl

from ..core.errors import StoreError
from ..core.types import Estimate
from ..results.schema import LEVEL, UNIT
from ..stats import intervals as st
from .metrics import AT_ONCE, Values

ROWS_AT_ONCE = 500_000
HELD = 4_000_000
_DIGIT = 16  # bits
_COLUMNS = ("request_id", "index", "arrival_s")


class Gaps:
    """The gaps of one level's successful requests in the window, s; in start order as far as statistics go."""

    def __init__(self, repeats: Values) -> None:
        """`repeats`: the repeat of each request, by its place in start order."""
        self.n = 0
        self._repeats = repeats
        self._held: list[Values] = []
        self._file: IO[bytes] | None = None
        self._places: list[Values] = []
        self._counts: list[Values] = []
        self._ordered: Values | None = None

    def add(self, gaps: Values, places: Values, counts: Values) -> None:
        """More gaps: `counts` of them, in turn, of the requests at `places`. Those of one request come one after the other."""
        self.n += len(gaps)
        self._places.append(places)
        self._counts.append(counts)
        self._ordered = None
        if self.n <= HELD:
            self._held.append(gaps)
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="basetenkit-gaps-")  # noqa: SIM115
                weakref.finalize(self, self._file.close)
                for held in self._held:
                    self._file.write(held.tobytes())
                self._held = []
            self._file.write(gaps.tobytes())
            self._file.flush()
        except OSError as error:
            why = f"{self.n:,} gaps between output chunks cannot be kept in {tempfile.gettempdir()}: {error.strerror or error}"
            raise StoreError(
                f"{why}; TMPDIR names another folder, with 8 bytes for each output chunk of the run"
            ) from None

    def _stretches(self) -> Iterator[tuple[Values, Values, Values]]:
        """(gaps, the place of each in start order, the repeat of each), as they were added."""
        if not self.n:
            return
        places, counts = np.concatenate(self._places), np.concatenate(self._counts)
        order = np.argsort(places, kind="stable")
        # The position of each request's gaps in start order, minus their position here.
        first = np.empty(len(places), np.int64)
        first[order] = np.cumsum(counts[order]) - counts[order]
        ends = np.cumsum(counts)
        first -= ends - counts
        at = 0
        for gaps in self._values():
            runs = np.searchsorted(ends, np.arange(at, at + len(gaps)), side="right")
            yield gaps, np.arange(at, at + len(gaps)) + first[runs], self._repeats[places[runs]]
            at += len(gaps)

    def _values(self) -> Iterator[Values]:
        """The gaps themselves, as they were added."""
        yield from self._held
        if self._file is not None:
            self._file.seek(0)
            while data := self._file.read(8 * ROWS_AT_ONCE):
                yield np.frombuffer(data, np.float64)

    def moments(self) -> st.Moments:
        """Those of the gaps; there must be one at least."""
        mean = sum(float(gaps.sum()) for gaps in self._values()) / self.n
        return self._moments([mean], lambda gaps, k: gaps)[0]

    def mean(self) -> Estimate:
        """Their mean, with its interval."""
        return self._of_enough(st.mean_of(self.moments(), 0.0)) if self.n else st.NOTHING

    def quantiles(self, ps: Sequence[float]) -> list[Estimate]:
        """Their quantiles, with intervals: what `statistics.quantiles` says of them in start order."""
        return [self._of_enough(e) for e in st.quantiles_of(self.n, ps, self.at, self._shares)]

    def _of_enough(self, e: Estimate) -> Estimate:
        """Without an interval if the gaps are of too few requests: those of one request are alike."""
        requests = len(np.unique(np.concatenate([p[c > 0] for p, c in zip(self._places, self._counts, strict=True)])))
        return e if requests >= st.LEAST else Estimate(e.value, n=requests, how="too few requests for an interval")

    def _shares(self, limits: Sequence[float]) -> list[st.Moments]:
        means = np.zeros(len(limits))
        for gaps in self._values():
            means += [np.count_nonzero(gaps <= limit) for limit in limits]
        return self._moments((means / self.n).tolist(), lambda gaps, k: gaps <= limits[k])

    def _moments(self, means: Sequence[float], psi: Any) -> list[st.Moments]:
        """The moments of several series over the gaps, whose means are known; `psi`: (gaps, which) -> its values."""
        sums = [{10: np.zeros(10), 20: np.zeros(20)} for _ in means]
        squares, known = np.zeros(len(means)), np.unique(self._repeats)
        totals = np.zeros((len(means), len(known)))
        for gaps, places, repeats in self._stretches():
            of = np.searchsorted(known, repeats)
            for k, mean in enumerate(means):
                centred = psi(gaps, k) - mean
                squares[k] += float(centred @ centred)
                totals[k] += np.bincount(of, centred, len(known))
                for batches, by in sums[k].items():
                    size = self.n // batches
                    inside = places - (self.n - size * batches)
                    if size:
                        by += np.bincount(np.maximum(inside // size, -1) + 1, centred, batches + 1)[1:]
        seen = np.isin(known, self._repeats[np.concatenate(self._places)])
        out = []
        for k, mean in enumerate(means):
            ten, twenty = (by / (self.n // b) if self.n // b else np.zeros(0) for b, by in sums[k].items())
            out.append(st.Moments(self.n, mean, squares[k] / self.n, ten, twenty, totals[k][seen]))
        return out

    def at(self, ranks: Sequence[int]) -> list[float]:
        """The values of some ranks, from 1 (the least) to n, s."""
        if self._file is None:
            if self._ordered is None:
                self._ordered = np.sort(np.concatenate([*self._held, np.zeros(0)]))
            return [float(self._ordered[rank - 1]) for rank in ranks]
        # Leading bits -> (rank, rank among the values that have them).
        groups = {0: [(rank, rank) for rank in sorted(set(ranks))]}
        for shift in range(64 - _DIGIT, -1, -_DIGIT):
            groups = self._narrowed(groups, shift)
        known = {rank: _value(bits) for bits, those in groups.items() for rank, _ in those}
        return [known[rank] for rank in ranks]

    def _narrowed(self, groups: dict[int, list[tuple[int, int]]], shift: int) -> dict[int, list[tuple[int, int]]]:
        """The same ranks by their next 16 bits, which begin at `shift`."""
        counts = {bits: np.zeros(1 << _DIGIT, np.int64) for bits in groups}
        for gaps in self._values():
            keys = _keys(gaps)
            digits = (keys >> np.uint64(shift)) & np.uint64((1 << _DIGIT) - 1)
            leading = keys >> np.uint64(shift + _DIGIT) if shift + _DIGIT < 64 else np.zeros(len(keys), np.uint64)
            for bits, by in counts.items():
                by += np.bincount(digits[leading == np.uint64(bits)].astype(np.int64), minlength=len(by))
        out: dict[int, list[tuple[int, int]]] = {}
        for bits, those in groups.items():
            up_to = np.cumsum(counts[bits])
            for rank, among in those:
                digit = int(np.searchsorted(up_to, among))
                before = int(up_to[digit - 1]) if digit else 0
                out.setdefault(bits << _DIGIT | digit, []).append((rank, among - before))
        return out


def _keys(values: Values) -> Values:
    """Whole numbers in the order of the values: IEEE 754 has it so but for the sign."""
    bits = values.view(np.uint64)
    return bits ^ np.where(bits >> np.uint64(63), np.uint64((1 << 64) - 1), np.uint64(1 << 63))


def _value(key: int) -> float:
    bits = key ^ (1 << 63) if key >> 63 else key ^ ((1 << 64) - 1)
    return float(np.array([bits], np.uint64).view(np.float64)[0])


def gaps(rows: pl.DataFrame, chunks: pl.LazyFrame | None) -> dict[tuple[object, ...], Gaps]:
    """The gaps between output chunks of each level's successful requests in the window. `rows`: run.requests; `chunks`:
    run.chunks, or others in their columns, in any order."""
    if chunks is None or not rows.height:
        return {}
    held_back = AT_ONCE if set(AT_ONCE.meta.root_names()) <= set(rows.columns) else pl.lit(False)
    kept = rows.filter(pl.col("in_window") & (pl.col("outcome") == "ok") & ~held_back).select(
        "request_id", *UNIT, "start_s"
    )
    found: list[tuple[tuple[object, ...], Gaps]] = []
    placed = []
    for key, part in kept.group_by(LEVEL, maintain_order=True):
        part = part.sort("repeat", "start_s", "request_id")
        level = pl.lit(len(found), pl.Int64).alias("of")
        placed.append(part.select("request_id", level, place=pl.int_range(pl.len())))
        found.append((key, Gaps(part["repeat"].to_numpy())))
    if not placed:
        return {}
    try:
        _read(chunks, pl.concat(placed), [g for _, g in found])
    except _OutOfOrder:
        found = [(key, Gaps(g._repeats)) for key, g in found]
        _read(chunks.sort("request_id", "index").collect().lazy(), pl.concat(placed), [g for _, g in found])
    return {key: g for key, g in found if g.n}


class _OutOfOrder(Exception):
    """A response's chunks are not one after the other."""


def _read(chunks: pl.LazyFrame, placed: pl.DataFrame, found: Sequence[Gaps]) -> None:
    """Hands the gaps to their levels, a stretch of the chunks at a time."""
    before: pl.DataFrame | None = None
    at = 0
    while (stretch := chunks.select(_COLUMNS).slice(at, ROWS_AT_ONCE).collect()).height:
        at += stretch.height
        frame = stretch if before is None else pl.concat([before, stretch])
        _take(frame, placed, found, continued=before is not None)
        before = frame.tail(1)


def _take(frame: pl.DataFrame, placed: pl.DataFrame, found: Sequence[Gaps], *, continued: bool) -> None:
    same = frame.select((pl.col("request_id") == pl.col("request_id").shift()).fill_null(False)).to_series().to_numpy()
    index, arrival = frame["index"].to_numpy(), frame["arrival_s"].to_numpy()
    starts = np.nonzero(~same)[0]
    opening = starts[1:] if continued else starts
    if (np.diff(index)[same[1:]] != 1).any() or index[opening].any():
        raise _OutOfOrder
    runs = frame["request_id"].gather(starts).to_frame().with_row_index("run")
    known = runs.join(placed, on="request_id", maintain_order="left").unique(("of", "run"), keep="first").sort("run")
    counts = np.diff(starts, append=len(index)) - 1
    gaps = np.diff(arrival)[same[1:]]
    for (level,), those in known.group_by("of"):
        run = those["run"].to_numpy()
        inside = np.zeros(len(starts), bool)
        inside[run] = True
        found[level].add(gaps[np.repeat(inside, counts)], those["place"].to_numpy(), counts[run])

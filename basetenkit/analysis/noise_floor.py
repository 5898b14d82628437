"""Noise: how much an endpoint's figures differ from themselves, measured as A against A; kept as a file beside the runs."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl

from ..config.coercions import as_path
from ..config.endpoint import Endpoint
from ..core.errors import ConfigError, StoreError
from ..core.secrets import redact_url
from ..core.tables import Html, html_table, stacked
from ..core.types import Row
from ..results.run_data import RunData
from ..stats import intervals as st

FILE, VERSION = "noise.json", 1
LEAST_BLOCKS = 6  # of a band


@dataclass(frozen=True)
class Noise:
    """What `bk.noise` returns.

    `frame`: one row per metric and duration: `minutes`, `pairs` of blocks that fit into them, `half_width` (the expected
    half-width of the 95% interval of a ratio), `shows` (the smallest difference that is found with a chance of 80%) with
    `shows_low` and `shows_high` (a 95% interval, because there are few pairs); all as shares. `band`: one row per figure of the
    summary: the ratio of two blocks of one endpoint is from `low` to `high` in 95% of cases; `blocks`: the number of blocks.
    `url`, `model`, `scenario`, `load`, `level`: the endpoint and the level; `started_at`: Unix time; `minutes`;
    `block_requests`, `block_s`: of one block.
    """

    url: str
    model: str | None
    scenario: str
    load: str
    level: float
    started_at: float
    minutes: float
    block_requests: int
    block_s: float
    frame: pl.DataFrame
    band: pl.DataFrame
    words: list[str] = field(default_factory=list)

    def save(self, folder: str | Path) -> None:
        """Writes noise.json into a folder."""
        root = as_path(folder, "Noise.save")
        root.mkdir(parents=True, exist_ok=True)
        tables = {name: getattr(self, name).to_dicts() for name in ("frame", "band")}
        document = {"version": VERSION, **_plain(self), **tables}
        part = root / f".{FILE}.part"
        part.write_text(json.dumps(document, indent=1), "utf-8")
        part.replace(root / FILE)

    @classmethod
    def load_from(cls, folder: str | Path) -> Self:
        """The noise that is saved in a folder. StoreError if there is none, or if it is damaged."""
        file = as_path(folder, "Noise.load_from") / FILE
        try:
            saved = json.loads(file.read_text("utf-8"))
            if saved.pop("version") != VERSION:
                raise ValueError("another version")
            frame = pl.DataFrame(saved.pop("frame"), FRAME)
            return cls(**saved | {"frame": frame, "band": pl.DataFrame(saved["band"], BAND)})
        except OSError as error:
            raise StoreError(f"{file} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError) as error:
            raise StoreError(f"{file} is damaged ({error}); measure it again with bk.noise") from None

    def of(self, row: Row) -> tuple[float | None, float | None]:
        """(low, high) of the band of a level's figure; None if it is another level, or was not measured."""
        if (row["scenario"], row["load"], row["level"]) != (self.scenario, self.load, self.level):
            return None, None
        found = self.band.filter(pl.col("metric") == row["metric"])
        return (found["low"][0], found["high"][0]) if found.height else (None, None)

    @property
    def sentence(self) -> str:
        """What two blocks of one endpoint differ by, in one sentence."""
        day = f"{datetime.fromtimestamp(self.started_at, UTC):%Y-%m-%d %H:%M} UTC"
        return (
            f"Grey bands: the same endpoint against itself, in blocks of {self.block_requests} requests ({self.block_s:.0f} s), "
            f"over {self.minutes:.0f} minutes ({day}); 95% of the ratios of two blocks lie in them. Longer runs differ less "
            "by chance."
        )

    def _table(self) -> Html:
        rows = []
        for row in self.frame.iter_rows(named=True):
            low, high = row["shows_low"], row["shows_high"]
            spread = "" if low is None or high is None else f" ({low:.1%} to {high:.1%})"
            shown = {"metric": row["metric"], "minutes": f"{row['minutes']:.0f}", "pairs": row["pairs"]}
            smallest = "–" if row["shows"] is None else f"{row['shows']:.1%}{spread}"
            rows.append(shown | {"smallest difference that is found with a chance of 80%": smallest})
        return html_table(rows, f"A against A: {self.scenario} at {self.load} {self.level:g}")

    def __repr__(self) -> str:
        return "\n".join([repr(self._table()), *self.words])

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        notes = html_table([{"to know": text} for text in self.words])
        return {"text/html": stacked(self._table(), notes), "text/plain": repr(self)}


FRAME = {"metric": pl.String, "minutes": pl.Float64, "pairs": pl.Int64}
FRAME |= dict.fromkeys(("half_width", "shows", "shows_low", "shows_high"), pl.Float64)
BAND = {"metric": pl.String, "low": pl.Float64, "high": pl.Float64, "blocks": pl.Int64}


def _plain(found: Noise) -> dict[str, Any]:
    return {name: value for name, value in vars(found).items() if not isinstance(value, pl.DataFrame)}


def band_of(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Between which bounds the ratio of two blocks lies in 95% of cases, on the log scale, from the values of all blocks. None if
    there are too few, or if one is not above 0."""
    known = [value for value in values if value is not None and value > 0]
    if len(known) < max(LEAST_BLOCKS, len(values)):
        return None
    half = st.t975(len(known) - 1) * math.sqrt(2) * float(np.log(known).std(ddof=1))
    return math.exp(-half), math.exp(half)


def noise_for(given: object, *runs: RunData) -> Noise | None:
    """The noise that was given (a Noise, or its folder); if None, the latest of the same endpoint in the folders beside those of
    the runs."""
    if isinstance(given, Noise):
        return given
    if given is not None:
        if not isinstance(given, str | Path):
            raise ConfigError(f"noise takes what bk.noise gives, or its folder, not {type(given).__name__}")
        return Noise.load_from(given)
    found = [one for run in runs for one in _beside(run)]
    return max(found, key=lambda one: one.started_at, default=None)


def _beside(run: RunData) -> list[Noise]:
    if run.path is None or run.path.parent == Path(tempfile.gettempdir()):
        return []
    out = []
    for file in run.path.parent.glob(f"*/{FILE}"):
        try:
            one = Noise.load_from(file.parent)
        except StoreError:
            continue
        if (one.url, one.model) == where(run.config.endpoint):
            out.append(one)
    return out


def where(endpoint: Endpoint) -> tuple[str, str | None]:
    """(URL without its secrets, model): what a noise is of."""
    return redact_url(endpoint.url), endpoint.model

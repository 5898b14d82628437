"""Run: what a run left, and what can be said of it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from .analysis import showing
from .analysis.accounts import fates
from .analysis.clock_error import clock_errors
from .analysis.diagnosis import diagnose
from .analysis.latency_model import QUANTILES, explain_latency
from .analysis.metrics import AROUND
from .analysis.spread import spread
from .analysis.summary import summarise
from .analysis.token_gaps import token_gaps
from .analysis.window import BY_RULE, Window, mark_window
from .coercions import as_path
from .columns import SCHEMA
from .config import RunConfig
from .findings import Finding
from .interpret import read
from .loads import LevelKey
from .store import RunFolder, exchange_from_row
from .types import Exchange


class Run:
    """What a run left: rows, chunks, and what can be said of them. Made by `run` and by `load`, the same either way."""

    def __init__(self, folder: RunFolder, window: Window = BY_RULE, whole: Run | None = None) -> None:
        self._folder, self.window = folder, window
        self._document = folder.read_run()
        self._left_out = folder.leave_out_broken()
        self._whole = whole  # a temporary folder lives as long as the run it came with
        if not folder.durable and whole is None:
            weakref.finalize(self, _remove, folder.path)

    @cached_property
    def requests(self) -> pl.DataFrame:
        """One row a request sent, in the schema of `basetenkit.columns.SCHEMA`."""
        return mark_window(self._folder.scan("requests").collect(), self.window).select(list(SCHEMA))

    @cached_property
    def _rows(self) -> pl.DataFrame:
        """The rows without their texts: of a long run half a gigabyte, which no figure needs."""
        if "requests" in self.__dict__:
            return self.requests.drop("text", "warnings")
        rows = self._folder.scan("requests").drop("text", "warnings").collect()
        return mark_window(rows, self.window).select([name for name in SCHEMA if name not in ("text", "warnings")])

    @property
    def chunks(self) -> pl.LazyFrame:
        """A LazyFrame (`.collect()` reads it), one row per output chunk: request_id,
        index, arrival_s (s since the send), error_s, tokens, text_start, text_end."""
        return self._folder.scan("chunks")

    @cached_property
    def summary(self) -> pl.DataFrame:
        """One row a (scenario, load, level): counts by outcome; each metric as value, _low, _high (95%)."""
        return summarise(self._rows, self.chunks, self.config.slo, self._document["levels"])

    @cached_property
    def spread(self) -> pl.DataFrame:
        """One row a (scenario, load, level, metric): n, min, max, mean, stddev, sum, p25 to p99 of what was measured."""
        return spread(self._rows, self.chunks)

    def explain_latency(self, quantiles: Sequence[float] = QUANTILES) -> pl.DataFrame:
        """What TTFT is made of, per (scenario, load, level) and over all levels: seconds per prompt token, base, and queue (seconds
        per other request in flight), each with a 95% interval; null with a sentence if it cannot be told. `quantiles`: of TTFT.
        See `basetenkit.analysis.latency_model`."""
        return explain_latency(self._rows, quantiles)

    @cached_property
    def fates(self) -> pl.DataFrame:
        """What became of every planned request, per (scenario, load, level): sent, each outcome, never sent; adds up. Beside them
        the requests that were sent around the planned ones: preflight, ramp, cooldown."""
        return fates(self._rows, self.planned)

    @property
    def planned(self) -> pl.DataFrame:
        """Requests planned, warm-up among them, per (scenario, load, level). A level that was precise enough planned no more."""
        config = self.config
        rows = [
            {
                **{k: x[k] for k in ("scenario", "load", "level")},
                "planned": config.warmup_requests + (x.get("goal") or config.requests_of(LevelKey.of(x).load)),
            }
            for x in self._document["levels"]
        ]
        schema = {"scenario": pl.String, "load": pl.String, "level": pl.Float64, "planned": pl.Int64}
        again = self._rows.filter(pl.col("attempt") > 1).group_by("scenario", "load", "level").agg(planned=pl.len())
        frame = pl.concat([pl.DataFrame(rows, schema=schema), again.cast(schema)])  # type: ignore[arg-type]
        return frame.group_by("scenario", "load", "level", maintain_order=True).agg(pl.col("planned").sum())

    @cached_property
    def findings(self) -> list[Finding]:
        """What a reader of the figures must know: code, sentence, cure."""
        left_out = [str(p.relative_to(self._folder.path)) for p in self._left_out]
        return diagnose(self._rows, self.summary, self.config, self._document, left_out)

    @cached_property
    def config(self) -> RunConfig:
        """The run's configuration, less its secrets."""
        return RunConfig.model_validate(self._document["config"])

    @property
    def metadata(self) -> dict[str, Any]:
        """Config, versions, machine, clock, measurement error, salt, and how each level went; no secret."""
        rows = self._rows
        measured = clock_errors(rows.filter("in_window"))
        clocks = dict(rows["clock"].drop_nulls().value_counts().iter_rows())
        more = {
            "config": self._document["config"],
            "levels": self._document["levels"],
            "clock": {"requests": clocks, **measured},
            "window": str(self.window),
        }
        return {**self._document["metadata"], **more}

    @property
    def complete(self) -> bool:
        """Whether every planned request was sent and ended by itself: False if the run was stopped, killed or interrupted, if a
        level was ended with requests in flight or unsent, or if a part of the run cannot be read."""
        if not all(level["done"] for level in self._document["levels"]) or self._left_out:
            return False
        fates = self.fates
        return not fates.select((pl.col("cancelled") + pl.col("never_sent").clip(0)).sum()).item()

    def with_window(
        self,
        skip_first: int | None = None,
        skip_last: int | None = None,
        from_s: float | None = None,
        until_s: float | None = None,
    ) -> Run:
        """The same run with another measured window, of each level and repeat: without the first and the last so many requests
        by start order, and of those only what started from `from_s` to before `until_s`, in s since the level's start.

        Any of them replaces the rule by which the window is chosen; `run.window` says which is in use. The saved run stays as
        it is. ConfigError where a number is negative or `until_s` does not come after `from_s`."""
        return Run(self._folder, Window(skip_first, skip_last, from_s, until_s), self)

    def token_gaps(self, tokenizer: str | None = None) -> pl.DataFrame:
        """One row an output chunk: its gap, its tokens, the gap shared out over them, and the bounds of each token's own
        latency where several came together. `tokenizer`: another than the run's. See `basetenkit.analysis.token_gaps`."""
        return token_gaps(self, tokenizer)

    @property
    def captured(self) -> list[str]:
        """The ids of the requests whose raw bytes `capture` kept, for `exchange`."""
        ids: list[str] = self._folder.scan("exchanges").select("request_id").collect()["request_id"].to_list()
        return ids

    def exchange(self, request_id: str) -> Exchange:
        """The raw bytes of one exchange with their arrival times; KeyError where `capture` did not keep it."""
        rows = self._folder.scan("exchanges").filter(pl.col("request_id") == request_id).collect()
        if not rows.height:
            raise KeyError(
                f"no raw bytes of {request_id!r} were kept (capture={self.config.capture!r}); run with capture='all'"
            )
        return exchange_from_row(rows.row(0, named=True))

    def reparse(self) -> pl.DataFrame:
        """Reads the kept exchanges again with today's parser: request_id, and outcome, text, output chunks before and after."""
        kept = self._folder.scan("exchanges").collect()
        before = {r["request_id"]: r for r in self.requests.iter_rows(named=True)}
        rows = []
        for row in kept.iter_rows(named=True):
            parsed, old = read(exchange_from_row(row), self.config.endpoint), before[row["request_id"]]
            pairs = {
                "outcome": (old["outcome"], parsed.outcome.value),
                "text": (old["text"], parsed.text),
                "output_chunks": (old["output_chunks"], len(parsed.event_texts)),
                "error_message": (old["error_message"], parsed.error_message),
            }
            now = {f"{name}_now": new for name, (_, new) in pairs.items()}
            changed = [name for name, (a, b) in pairs.items() if a != b]
            rows.append(
                {"request_id": row["request_id"], "changed": changed, **{k: v[0] for k, v in pairs.items()}, **now}
            )
        text = {f"{n}{end}": pl.String for end in ("", "_now") for n in ("outcome", "text", "error_message")}
        counts = {"output_chunks": pl.Int64, "output_chunks_now": pl.Int64}
        return pl.DataFrame(rows, schema_overrides={"changed": pl.List(pl.String), **text, **counts} if rows else None)

    def save(self, path: str | Path) -> None:
        """Saves the run, whole, to a new or empty folder; StoreError where it is neither. A run's own folder is left as it is."""
        target = as_path(path, "save")
        if target.resolve() != self._folder.path.resolve():
            self._folder.copy_to(target)

    def __repr__(self) -> str:
        planned = self._rows.filter(~pl.col("phase").is_in(AROUND))
        ok = int((planned["outcome"] == "ok").sum())
        state = "" if self.complete else ", not complete"
        return f"<Run: {planned.height} requests in {len(self._document['levels'])} level(s), {ok} ok{state}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return showing.run(self)


def _remove(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)

"""Run: the result of a run, its figures and its findings. A facade: its attributes are the free functions of analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from .analysis import cost, figures
from .analysis.latency_model import QUANTILES, explain_latency
from .analysis.metrics import AROUND
from .analysis.token_gaps import token_gaps
from .analysis.verdict import Verdict, verdict
from .core.finding_list import Findings
from .core.types import JsonObject
from .reporting import showing
from .results.interpret import interpret
from .results.run_data import RunData

if TYPE_CHECKING:
    import altair as alt


class Run(RunData):
    """The result of a run: rows, chunks, figures and findings. `bk.run` and `bk.load` return it, with the same contents."""

    _stretch: tuple[float, float] | None = None  # selected in `explore`, in seconds of load

    @property
    def verdict(self) -> Verdict:
        """What the run found: one to three sentences with figures. `str(run.verdict)` is the text, `.sentences`, `.status` ("kept",
        "missed", "undecided", "measured", "failed", "empty") and `.evidence` (the figures of each level) are for code. It claims
        nothing that the 95% intervals do not show.

            print(run.verdict)      # Within the SLO (TTFT 0.2 s) up to 8 in flight: 1,114 tokens/s, TTFT p50 89.0 ms. At 16 in ...
        """
        return verdict(self)

    @property
    def summary(self) -> pl.DataFrame:
        """One row per (scenario, load, level) with about 20 columns, the ones to compare first. Latencies are in s, shares from
        0 to 1; null if not measured. `metrics` has the intervals, `summary_wide` all columns. Open loops also have latencies
        from when a request was due, and embeddings have inputs per second.

            run.summary.select("level", "goodput", "output_tokens_per_s", "ttft_s_p50")
        """
        return figures.summary(self)

    @property
    def summary_wide(self) -> pl.DataFrame:
        """One row per (scenario, load, level) with all columns: counts by outcome; each metric as value, _low, _high (95%);
        tokens; the clock's error; the load of this client."""
        return figures.summary_wide(self)

    @property
    def metrics(self) -> pl.DataFrame:
        """One row per (scenario, load, level, metric): `value`, `low`, `high` (95%), `n` (the number of values), `n_eff` (the
        number of independent values with the same information) and `method` (how the interval was computed, or why a bound is
        missing). The figures are those of `summary_wide`; a metric without a value and without a bound has no row.

        For example, the percentiles of TTFT at each level:

            run.metrics.filter(pl.col("metric").str.starts_with("ttft_s_p"))
        """
        return figures.metrics(self)

    @property
    def spread(self) -> pl.DataFrame:
        """One row per (scenario, load, level, metric): n, min, max, mean, stddev, sum, p25 to p99 of the measured values."""
        return figures.spread(self)

    def explain_latency(self, quantiles: Sequence[float] = QUANTILES) -> pl.DataFrame:
        """The parts of TTFT, per (scenario, load, level) and over all levels: seconds per prompt token, base, and queue
        (seconds per other request in flight), each with a 95% interval. A part that cannot be estimated is null, and `note` has
        the reason. `quantiles`: the quantiles of TTFT to explain. See `basetenkit.analysis.latency_model`."""
        return explain_latency(self.rows, quantiles)

    @property
    def fates(self) -> pl.DataFrame:
        """The outcome of every planned request, per (scenario, load, level): sent, each outcome, never sent; adds up. Beside
        them the requests that were sent around the planned ones: preflight, ramp, cooldown."""
        return figures.fates(self)

    @property
    def planned(self) -> pl.DataFrame:
        """Planned requests per (scenario, load, level), including the warm-up. For a level that ended because it was precise
        enough, the requests that were sent."""
        return figures.planned(self)

    @property
    def usd(self) -> float | None:
        """The cost of the run in US dollars, with the config's price; None without a price, or if time or tokens are unknown.
        The time of dedicated replicas is rounded up to whole minutes and does not include a cold start before the run."""
        return cost.of_run(self)

    @property
    def findings(self) -> Findings:
        """Warnings about the run, the most severe first: a list of `Finding` (code, severity, sentence, cure). As the last line
        of a cell it shows a table with one row per kind."""
        return figures.findings(self)

    @property
    def metadata(self) -> JsonObject:
        """Config, versions, machine, clock, measurement error, salt, and how each level went; no secret."""
        return figures.metadata(self)

    @property
    def complete(self) -> bool:
        """Whether every planned request was sent and ended by itself: False if the run was stopped, killed or interrupted, if a
        level was ended with requests in flight or unsent, or if a part of the run cannot be read."""
        return figures.complete(self)

    def explore(self, metric: str = "ttft_s") -> alt.JupyterChart:
        """Linked charts in JupyterLab. Drag over the requests in flight, or over the tokens per second, to select a stretch:
        the waterfall and the ECDF of `metric` then show the requests of that stretch only, and `selected` has their rows.
        Double-click to select all again. ConfigError if `metric` is not a latency or speed.

            run.explore()           # in one cell; drag over the chart
            run.selected            # in the next cell: the rows of the stretch
        """
        from .reporting.brushing import explorer

        def take(stretch: tuple[float, float] | None) -> None:
            self._stretch = stretch

        shown: alt.JupyterChart = explorer(self, metric, take)
        return shown

    @property
    def selected(self) -> pl.DataFrame:
        """The rows of `requests` that were in flight at some moment of the stretch selected in `explore`; all rows of `requests` if
        nothing is selected. A stretch is likelier to hold a long request than a short one: a figure of these rows describes what
        was going on then, and `summary` describes the endpoint.

            run.selected.select("request_id", "outcome", "ttft_s", "e2e_s")
        """
        from .reporting.brushing import within

        return self.requests if self._stretch is None else within(self.requests, self._stretch)

    def token_gaps(self, tokenizer: str | None = None) -> pl.DataFrame:
        """One row per output chunk: its gap, its tokens, the gap divided among them, and, if several tokens came together,
        bounds of the latency of each. `tokenizer`: a tokenizer to use instead of the run's. See
        `basetenkit.analysis.token_gaps`."""
        return token_gaps(self, tokenizer)

    def reparse(self) -> pl.DataFrame:
        """Parses the saved exchanges again with the current parser: request_id, and outcome, text and output chunks before and
        after."""
        before = {r["request_id"]: r for r in self.requests.iter_rows(named=True)}
        rows = []
        for exchange in self.exchanges():
            name = exchange.request.request_id
            parsed, old = interpret(exchange, self.config.endpoint), before[name]
            pairs = {
                "outcome": (old["outcome"], parsed.outcome.value),
                "text": (old["text"], parsed.text),
                "output_chunks": (old["output_chunks"], len(parsed.event_texts)),
                "error_message": (old["error_message"], parsed.error_message),
            }
            now = {f"{name}_now": new for name, (_, new) in pairs.items()}
            changed = [name for name, (a, b) in pairs.items() if a != b]
            rows.append({"request_id": name, "changed": changed, **{k: v[0] for k, v in pairs.items()}, **now})
        text = {f"{n}{end}": pl.String for end in ("", "_now") for n in ("outcome", "text", "error_message")}
        counts = {"output_chunks": pl.Int64, "output_chunks_now": pl.Int64}
        return pl.DataFrame(rows, schema_overrides={"changed": pl.List(pl.String), **text, **counts} if rows else None)

    def __repr__(self) -> str:
        return f"{self._said}\n{self.verdict}"

    @property
    def _said(self) -> str:
        """What the run is, in one line."""
        planned = self.rows.filter(~pl.col("phase").is_in(AROUND))
        ok = int((planned["outcome"] == "ok").sum())
        state = "" if self.complete else ", not complete"
        return f"<Run: {planned.height} requests in {len(self.manifest.levels)} level(s), {ok} ok{state}>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return showing.run_bundle(self, self._said)

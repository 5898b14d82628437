"""genai-bench's metric names and ours. The reader and the writer of its folders and the page in docs/ all use this table.

Its definitions are those of its `RequestLevelMetrics` and `AggregatedMetrics` (version 0.0.5, and Baseten's fork of 0.0.2);
each difference was found in its code. An expression is over the rows of `run.requests`.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class Name:
    """One name of genai-bench. `ours`: our column or figure, empty if there is none. `read`: whether the reader takes the
    column from it. `made`: how it is made of our rows where it is not simply the column. `differs`: how its figure does."""

    theirs: str
    ours: str
    differs: str
    read: bool = False
    made: pl.Expr | None = None

    @property
    def expression(self) -> pl.Expr:
        """Its value from a row of `run.requests`; null if there is none."""
        if self.made is not None:
            return self.made
        return pl.col(self.ours) if self.ours else pl.lit(None, pl.Float64)


_c = pl.col
_decoding = _c("e2e_s") - _c("ttft_s")
_end = "theirs ends at the end of the stream, after usage and [DONE]; ours ends at the last token"
_none = "same"

# fmt: off
# of one request: `individual_request_metrics`, and the keys of `stats`
REQUEST: tuple[Name, ...] = (
    Name("ttft", "ttft_s", "theirs starts before the connection and so includes DNS, TCP and TLS. The fork's ends at the first "
         "chunk, even an empty one, and is always 1 ms without streaming; that is read as null", True),
    Name("e2e_latency", "e2e_s", f"theirs starts like its ttft; {_end}", True),
    Name("tpot", "tpot_s", "theirs divides by all output tokens minus one, including the first chunk and hidden reasoning; ours "
         "by the tokens that came in that time. Read as null without a ttft, or if all tokens came at once", True),
    Name("output_latency", "output_latency_s", _end, made=_decoding),
    Name("output_inference_speed", "output_inference_speed", "same formula, 1 / tpot",
         made=pl.when(_c("tpot_s") > 0).then(1 / _c("tpot_s"))),
    Name("num_input_tokens", "input_tokens", "the fork records its sampler's count, not the server's", True),
    Name("num_output_tokens", "output_tokens", "the server's if it came after a finish reason, else the tokenizer's; "
         "its files do not record which", True),
    Name("num_reasoning_tokens", "reasoning_tokens", "theirs may be its tokenizer's count; 0 may also mean unknown and is "
         "read as null", True),
    Name("total_tokens", "", "input_tokens + output_tokens", made=_c("input_tokens") + _c("output_tokens")),
    Name("input_throughput", "", "input_tokens / ttft_s, which is not the throughput of the server",
         made=pl.when(_c("ttft_s") > 0).then(_c("input_tokens") / _c("ttft_s"))),
    Name("output_throughput", "output_inference_speed", "theirs is (output_tokens - 1) / (e2e_s - ttft_s), its 1 / tpot; ours "
         "is 1 / tpot_s", made=pl.when(_c("tpot_s") > 0).then(1 / _c("tpot_s"))),
    Name("audio_throughput", "", "speech is not measured here"),
    Name("network_dns_time", "dns_s", "only in the fork, if requested; ours is null on a reused connection", True),
    Name("network_connect_time", "connect_s", "likewise", True),
    Name("network_tls_time", "tls_s", "likewise; the fork never fills it", True),
)
OUTCOME: tuple[Name, ...] = (
    Name("error_code", "outcome, status", "theirs is one number for an HTTP status, an error in the body or a lost connection "
         "(503, 408 and 500 may come from genai-bench itself); 0 counts as a success there, never here"),
    Name("error_message", "error_message", _none),
)
# of one scenario and level: `aggregated_metrics`
LEVEL: tuple[Name, ...] = (
    Name("scenario", "scenario", _none),
    Name("num_concurrency", "level", "in the fork also requests per second (--qps-level); here `load` has the kind"),
    Name("batch_size", "batch_size", "ours is a column of each row; with several, each scenario contains its size: `E(64,8)`"),
    Name("iteration_type", "load", "whether it varied the concurrency or the batch size"),
    Name("run_duration", "duration_s", "theirs is from the start of the users to their stop, polled once per second; ours is the "
         "window of the measured requests"),
    Name("mean_output_throughput_tokens_per_s", "output_tokens_per_s", "tokens of successes / run_duration, with ramp and drain"),
    Name("mean_input_throughput_tokens_per_s", "input_tokens_per_s", "likewise"),
    Name("mean_total_tokens_throughput_tokens_per_s", "", "the sum of those two"),
    Name("mean_total_chars_per_hour", "", "tokens/s x characters per token of its corpus x 3600: an estimate"),
    Name("requests_per_second", "requests_per_s", "successes / run_duration, with ramp and drain"),
    Name("requests_per_minute", "requests_per_s", "the old name, 60 times as large"),
    Name("total_arrivals", "", "requests that the fork's open loop planned to send"),
    Name("arrival_requests_per_second", "", "the same per second"),
    Name("error_codes_frequency", "fates", "ours are outcomes"),
    Name("error_rate", "error_rate", "always 0 in its files; ours is computed from the rows"),
    Name("num_error_requests", "fates", "its cancelled requests are not counted"),
    Name("num_completed_requests", "ok", "its successes, which include responses without a token; those are read as `empty` here"),
    Name("num_requests", "sent", "requests that were lost between its processes are not counted"),
    Name("stats", "spread", "min, max, mean, stddev (theirs of the population, ours of the sample), sum, p25 to p99 (theirs are "
         "interpolated between two requests, ours are the value of one request: with few requests high percentiles differ)"),
)
# fmt: on

STATS = tuple(name for name in REQUEST if name.theirs != "audio_throughput")
SCALED = frozenset({"ttft", "tpot", "e2e_latency", "output_latency"})  # in ms if that is the folder's unit
READ = {name.theirs: name.ours for name in REQUEST if name.read}
# how a message begins if the code comes from a client and not from the server: two of genai-bench, the others ours
BEGINS = {
    "connection_error": "Connection error: ",
    "timeout": "Request timed out: ",
    "incomplete": "incomplete: ",
    "malformed": "malformed: ",
    "empty": "empty: ",
}

"""The warnings of a run: a code, the level that it concerns, and its figures. The table below has the texts, which are filled in
when a finding is shown. Code must read `code`, `where` and `fields`, not the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .reasons import Stop
from .tables import digits


@dataclass(frozen=True, slots=True, repr=False)
class Finding:
    """A warning about a run: something that a reader of its figures must know.

    Attributes
    ----------
    code : its name in `RUN_FINDINGS`, which is stable.
    where : the level that it concerns, as text; empty if it concerns the whole run.
    fields : its figures by name, each a JSON value.
    severity : "error", "warning" or "note".
    text : the fact, as text.
    sentence : the level and the fact, as text.
    cure : what to do about it, as text; may be empty.
    """

    code: str
    where: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def text(self) -> str:
        """The sentence without the level that it concerns."""
        return RUN_FINDINGS[self.code][0].format(**_in_words(self.fields))

    @property
    def sentence(self) -> str:
        return f"{self.where}: {self.text}" if self.where else self.text

    @property
    def severity(self) -> str:
        """ "error": figures are missing or wrong; "warning": they do not mean what they seem to mean; "note": good to know."""
        return "error" if self.code in ERRORS else "note" if self.code in NOTES else "warning"

    @property
    def cure(self) -> str:
        return RUN_FINDINGS[self.code][1].format(**_in_words(self.fields))

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence.rstrip('.')}. {self.cure}".rstrip()

    def __repr__(self) -> str:
        return f"Finding(code={self.code!r}, sentence={self.sentence!r}, cure={self.cure!r})"

    def saved(self) -> dict[str, object]:
        """As JSON: {"code": ..., "where": ..., "fields": {...}}."""
        return {"code": self.code, "where": self.where, "fields": dict(self.fields)}

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        """The finding that `saved` returned."""
        return cls(saved["code"], saved.get("where", ""), saved["fields"])


def _in_words(fields: Mapping[str, Any]) -> dict[str, object]:
    """The fields as text for the sentences: times in ms as tables have them, the reason why a level ended, and counts by name as
    "3 http_error, 1 timeout"."""
    words = dict(fields)
    for name, value in fields.items():
        if isinstance(value, dict):
            counts = ", ".join(f"{n} {which}" for which, n in value.items())
            words[name] = str(Stop.of(value)) if "reason" in value else counts
        elif name.endswith("_ms"):
            words[name] = digits(value)
    return words


# code -> (sentence, cure); the names in braces are filled in when it is shown.
RUN_FINDINGS: dict[str, tuple[str, str]] = {
    "nothing_answers": (
        "No request to this endpoint can succeed, so no level was run: {message}.",
        "{advice} Then call again to run the levels; preflight=False runs them without this check.",
    ),
    "preflight_failed": (
        "The request before the levels did not succeed: {message}.",
        "{advice} The levels were run anyway.",
    ),
    "all_failed": (
        "none of the {sent} requests succeeded; most often: {message}",
        "Fix this first: there are no latencies to report.",
    ),
    "some_failed": (
        "{failed} of {sent} requests did not succeed ({outcomes}); most often: {message}",
        "Throughput counts successful requests only. A request that timed out gives latencies a lower limit: the time it waited.",
    ),
    "unanswered": (
        "{n} of {sent} requests had no answer when the level ended, after at least {waited:.3g} s; the longest that "
        "succeeded took {longest:.3g} s.",
        "The endpoint may hang: send a single request, and check the endpoint's log.",
    ),
    "gave_up": (
        "the first {n} requests all failed, so the level was stopped; most often: {message}",
        "Fix the cause, or set abort_after_failures=None to continue anyway.",
    ),
    "unfinished": (
        "{n} of {planned} planned requests did not end ({cut} cut, {unsent} never sent): {why}.",
        "Rates count up to the end of the level. Raise max_seconds, or plan fewer requests, so that all of them can finish.",
    ),
    "precise": (
        "the level ended after {n} requests because it was precise enough: {reached}.",
        "",
    ),
    "not_precise": (
        "after {n} requests the level is less precise than requested: {reached}.",
        "Raise max_requests or max_seconds, or accept a wider interval; near an endpoint's capacity some figures never become "
        "that precise.",
    ),
    "stopped_early": (
        "The run was stopped before it was complete: {what}.",
        "Figures cover the requests that finished; call again with the same save_to to run the missing levels.",
    ),
    "not_uploaded": (
        "{files} file(s) of this run are not in {url}: {message}. They are kept in {spool}.",
        "Call again with the same config and save_to to upload the rest; nothing is measured twice.",
    ),
    "not_locked": (
        "{url} is in a store without conditional writes, so a second writer cannot be refused with certainty.",
        "Let one process at a time write to it.",
    ),
    "tokens_by_tokenizer": (
        "the server reported no output tokens in {n} of {ok} responses; the tokenizer {tokenizer} counted them.",
        "Counts are exact only if this is the model's own tokenizer.",
    ),
    "tokenizer_differs": (
        "server and tokenizer {tokenizer} differ by {percent:.0f}% on {what} tokens ({server} against {client}).",
        "Likely {cause}. Set tokenizer= to the model's own; latencies per token use the server's count if it sent one.",
    ),
    "cached_unplanned": (
        "the server took {cached} of {tokens} input tokens ({percent:.0f}%) from its cache, in {n} of {ok} responses, "
        "{planned}.",
        "TTFT then covers less work than was requested. Causes: a reused salt, repeated entries of a data set, or a system "
        "message of the endpoint. Leave salt=None, or measure a shared prefix as one, e.g. P(2000,500)/200.",
    ),
    "conversations_ended": (
        "{n} of {held} conversations ended early because a turn failed, and {lost} of their turn(s) were never sent.",
        "The figures then contain too few later turns, which have the longest prompts: fix the failures first.",
    ),
    "output_short": (
        "{n} of {ok} responses have fewer output tokens than requested (the median of these: {got} of {asked}).",
        "The model stopped early: ignore_eos was not sent, the server ignores it, or the context is full.",
    ),
    "came_at_once": (
        "{n} of {ok} responses arrived whole at one moment (median {tokens} tokens): the server or a gateway buffered them.",
        "Their TTFT, TPOT and speed do not describe the model, and no figure uses them. Turn off the gateway's buffering, or "
        "bypass the gateway.",
    ),
    "length_ahead": (
        "{n} of {ok} streams had a Content-Length: a gateway buffered the whole response before sending it.",
        "TTFT and TPOT are null for them. Turn off the gateway's buffering, or bypass the gateway.",
    ),
    "held_back": (
        "in {n} of {ok} responses most output events arrived in groups, at far fewer times than there are events.",
        "TTFT, ITL and their goodput describe the gateway or server that delays the events. Make it send each event at once "
        "(haproxy: option http-no-delay; nginx: proxy_buffering off).",
    ),
    "first_message": (
        "in {n} of {ok} responses the first message held over {percent:.0f}% of the tokens (median {tokens} tokens).",
        "TTFT covers all tokens of the first message, and TPOT only the other tokens.",
    ),
    "output_long": (
        "{n} of {ok} responses have more output tokens than max_tokens allowed (median {got} of {asked}; {by}).",
        "The server ignores max_tokens, or counts tokens that it did not send. E2E covers responses longer than requested.",
    ),
    "not_streamed": (
        "{n} of {ok} responses were not streamed although stream=True was requested.",
        "TTFT and TPOT are null for them. Check the model's own setting for streaming.",
    ),
    "clock_bound": (
        "the clock's proven error of {what} (p99 {bound_ms} ms) is {percent:.0f}% of its median.",
        "Reduce the load on this client: {room}, fewer requests in flight, or an idle machine.",
    ),
    "clock_user": (
        "{n} of {sent} requests were timed by {by}, not by the OS kernel, so their error is {error}.",
        "{cure}",
    ),
    "clock_stepped": (
        "The wall clock jumped by {step_ms} ms during the run.",
        "It affects no figure: all times are on the monotonic clock.",
    ),
    "few_requests": (
        "{n} successful requests that depend on each other this much are too few for an upper bound on {what}.",
        "Only the value and its lower bound are shown. Raise max_requests.",
    ),
    "few_repeats": (
        "its intervals are computed from the means of {n} repeats.",
        "Intervals from a few repeats are wide. Use at least {least} repeats, or 10 if precision matters.",
    ),
    "short_run": (
        "{what} changes slowly: values within about {lasts:.3g} s of each other are correlated, and the level took "
        "{seconds:.3g} s.",
        "Its interval describes that period, not the endpoint. Run for {need} s ({least} times as long as the correlation lasts), "
        "or use repeats=10.",
    ),
    "trend": (
        "{what} changed as the level went on ({percent}% from its first quarter to its last; Kendall's tau {tau}, p {p}).",
        "The mean describes neither the start nor the end. Plot the timeline; run longer or use repeats. A slow drift looks the "
        "same.",
    ),
    "falls_behind": (
        "the endpoint cannot keep up: requests in flight kept rising, from {early:.3g} to {late:.3g}.",
        "Latencies now depend on the length of the test, not on the endpoint. Lower request_rate.",
    ),
    "level_too_short": (
        "requests were sent for {sent_s:.3g} s, and for the first {ramp_s:.3g} s of these the number in flight was still rising.",
        "Rates per second are null. Raise max_requests or max_seconds so that requests are sent for at least twice as long as the "
        "rise takes.",
    ),
    "ttft_waiting": (
        "requests waited in a queue, and this level was too short to measure it: TTFT varies more than fourfold, and grows with "
        "the number of other requests in flight.",
        "So latencies have no upper bound and goodput has no lower bound, and the true mean of TTFT may lie above its interval. "
        "Use repeats=10, or run much longer.",
    ),
    "near_capacity": (
        "the offered load is {percent:.0f}% of the highest throughput measured for this endpoint.",
        "TTFT and goodput vary slowly here, so a single run may not bound them. Instead of 95%, about 88% of the intervals of "
        "TTFT's mean and of goodput contain the true value at 85% of capacity, and 65% of those of E2E at 95%. Use repeats=10.",
    ),
    "serialised": (
        "requests appear to be served one at a time: {what}.",
        "On Baseten, check predict_concurrency and concurrency_target. If responses were not streamed, a server that is busy with "
        "long inputs looks the same.",
    ),
    "own_limits": (
        "{n} of {sent} requests failed on this machine, not at the endpoint; most often: {message}",
        "Raise that limit or lower the load. These failures say nothing about the endpoint.",
    ),
    "rate_limited": (
        "{n} of {sent} requests were refused with 429: a rate limit of the account or the model.",
        "You are measuring the rate limit, not the model. Lower the load, or raise the limit.",
    ),
    "window_uncut": (
        "fewer than 10 requests per concurrent user were sent, so the figures include the start and the end of the level.",
        "Send at least {need} requests, so that both can be excluded.",
    ),
    "verify_off": ("TLS certificates were not checked (verify=False).", "Anyone on the network path can read the key."),
    "key_in_clear": ("The API key was sent to {host} over http, unencrypted.", "Use https."),
    "schedule_lag": (
        "requests were sent up to {lag_ms} ms (p99) late: this client could not keep up with the rate.",
        "Lower request_rate, or use workers.",
    ),
    "in_flight_capped": (
        "max_in_flight={limit} delayed {n} requests.",
        "The offered load was below request_rate; latencies measured from the due time include the delay.",
    ),
    "capture_full": ("The raw bytes of {n} exchanges were not saved: capture_limit_mb={limit} was reached.", ""),
    "worker_lost": (
        "worker {worker} of {workers} was lost ({why}) together with {n} request(s); after that the load was lower than planned.",
        "Run the level again if you need its figures; the usual cause of a killed process is a lack of memory.",
    ),
    "host_slower": (
        "{metric} is {own_ms} ms (p50) from {host} and {others_ms} ms from the other machines; their networks differ by "
        "{network_ms} ms of round trip.",
        "bk.charts.by_host(run) shows each machine. Look at that machine's load and network before you trust the whole.",
    ),
    "data_left_out": (
        "{n} of the {rows} rows of the data set are not used: {why}.",
        "Fix these rows, or remove them from the file; the figures cover the other rows.",
    ),
    "data_header": (
        "The CSV of prompts has no known header line: its first line, {line!r}, {done}.",
        "Add the line `prompt` above the first prompt, or name the column with prompt_column.",
    ),
    "data_unsent": (
        "From the data set, {sent} is sent; not sent: {unsent}.",
        "If one of these belongs to the request, rename its column (prompt, system, max_tokens, tools): "
        "docs/reference/scenarios.md lists the names.",
    ),
    "genai_bench": (
        "These {files} level(s) were measured with genai-bench, which does not save send times: throughput is null here.",
        "Its own totals are in run.metadata['genai_bench']; docs/reference/genai-bench.md explains how its definitions differ.",
    ),
    "genai_bench_ms": ("{n} file(s) have latencies in ms; they were read as seconds.", ""),
    "genai_bench_ttft": (
        "{n} request(s) have a TTFT that genai-bench did not measure (1 ms, or missing); TTFT and TPOT are null.",
        "Responses that are not streamed have no TTFT: measure with streaming.",
    ),
    "genai_bench_empty": (
        "genai-bench counts {n} request(s) without any output token as successes; here they are 'empty'.",
        "genai-bench loses the text of some formats; measure the endpoint again with basetenkit.",
    ),
    "genai_bench_zero": (
        "{n} request(s) have no usable error code and no figures; here they count as failed.",
        "genai-bench counts a code of 0 as a success.",
    ),
    "genai_bench_error_rate": (
        "{n} of {files} file(s) report an error rate that does not match their own requests; it was recomputed.",
        "genai-bench always writes 0.",
    ),
    "genai_bench_lost": (
        "genai-bench's totals include {n} request(s) that are missing from its list of requests.",
        "Nothing is known about them; percentiles cover the others.",
    ),
    "tokens_spent": ("max_total_tokens={limit} was reached, so the level ended early.", ""),
}


ERRORS = {
    *(
        "nothing_answers",
        "all_failed",
        "gave_up",
        "stopped_early",
        "some_failed",
        "unanswered",
        "rate_limited",
        "own_limits",
    ),
    *("worker_lost", "falls_behind", "level_too_short"),
}
NOTES = {
    *("precise", "few_requests", "window_uncut", "few_repeats", "tokens_by_tokenizer", "verify_off", "clock_stepped"),
    *("capture_full", "data_unsent", "genai_bench", "genai_bench_ms", "tokens_spent", "near_capacity"),
}


def finding(code: str, where: str = "", **fields: object) -> Finding:
    """The finding `code`, about the level `where`, with its figures. KeyError if there is no such code."""
    if code not in RUN_FINDINGS:
        raise KeyError(code)
    return Finding(code, where, fields)

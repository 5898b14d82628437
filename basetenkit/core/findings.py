"""Every warning of a run: a code, the level it is about, and its figures. Its words stand in the table below, once, and are made
when somebody looks: what the code needs to know is in `code`, `where` and `fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from .reasons import Stop


@dataclass(frozen=True, slots=True, repr=False)
class Finding:
    """Something a reader of the figures must know.

    Attributes
    ----------
    code : its name in `RUN_FINDINGS`, which is stable.
    where : the level it is about, for people; empty if it is about the whole run.
    fields : its figures by name, each a JSON value.
    sentence : what is so, in words.
    cure : what to do about it, in words; may be empty.
    """

    code: str
    where: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def sentence(self) -> str:
        text = RUN_FINDINGS[self.code][0].format(**_in_words(self.fields))
        return f"{self.where}: {text}" if self.where else text

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
        """What `saved` gave."""
        return cls(saved["code"], saved.get("where", ""), saved["fields"])


def _in_words(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields as the sentences take them: why a level ended in words, and counts by name as "3 http_error, 1 timeout"."""
    words = dict(fields)
    for name, value in fields.items():
        if isinstance(value, dict):
            counts = ", ".join(f"{n} {which}" for which, n in value.items())
            words[name] = str(Stop.of(value)) if "reason" in value else counts
    return words


# code -> (sentence, cure); the names in braces are filled in when it is shown.
RUN_FINDINGS: dict[str, tuple[str, str]] = {
    "nothing_answers": (
        "No request to this endpoint can succeed, so no level was run: {message}.",
        "{advice} Then the same call runs the levels; preflight=False runs them all the same.",
    ),
    "preflight_failed": (
        "The request before the levels did not succeed: {message}.",
        "{advice} The levels were run all the same.",
    ),
    "all_failed": (
        "none of the {sent} requests succeeded; most often: {message}",
        "Mend this first: no latency can be told from it.",
    ),
    "some_failed": (
        "{failed} of {sent} requests did not succeed ({outcomes}); most often: {message}",
        "Throughput is of the successful ones only. Of a request that timed out, latencies know how long it waited at least.",
    ),
    "unanswered": (
        "{n} of {sent} requests had no answer when the level ended, after {waited:.3g} s and longer; the longest that "
        "succeeded took {longest:.3g} s.",
        "The endpoint may hang: send one request by itself, and look into its log.",
    ),
    "gave_up": (
        "the first {n} requests all failed, so the level was stopped; most often: {message}",
        "Mend the cause, or set abort_after_failures=None to go on regardless.",
    ),
    "unfinished": (
        "{n} of {planned} planned requests did not end ({cut} cut, {unsent} never sent): {why}.",
        "Rates count until the level's end. Raise max_seconds, or plan fewer requests, so that all of them can end.",
    ),
    "precise": (
        "the level ended after {n} requests, as it was precise enough: {reached}.",
        "",
    ),
    "not_precise": (
        "after {n} requests the level is less precise than asked for: {reached}.",
        "Raise max_requests or max_seconds, or ask for less; near an endpoint's capacity some figures never get there.",
    ),
    "stopped_early": (
        "The run was stopped before it was whole: {what}.",
        "Figures are of the requests that finished; the same call with save_to does what is missing.",
    ),
    "tokens_by_tokenizer": (
        "the server reported no output tokens in {n} of {ok} responses; the tokenizer {tokenizer} counted them.",
        "Counts are exact only if this is the model's own tokenizer.",
    ),
    "tokenizer_differs": (
        "server and tokenizer {tokenizer} differ by {percent:.0f}% on {what} tokens ({server} against {client}).",
        "Likely {cause}. Set tokenizer= to the model's own; latencies per token use the server's count where it sent one.",
    ),
    "cached_unplanned": (
        "the server took {cached} of {tokens} input tokens ({percent:.0f}%) from its cache, in {n} of {ok} responses, "
        "{planned}.",
        "TTFT is then of less work than was asked for. A salt used again, entries of a data set that come again and a system "
        "message of the endpoint's do this: leave salt=None, or measure a shared prefix as one, e.g. P(2000,500)/200.",
    ),
    "conversations_ended": (
        "{n} of {held} conversations ended early by a turn that failed, and {lost} turn(s) of theirs were never sent.",
        "Later turns, which send the most, are then too few among the figures: mend what failed first.",
    ),
    "output_short": (
        "{n} of {ok} responses have fewer output tokens than asked for (median {got} of {asked}).",
        "The model stopped by itself: ignore_eos is not honoured, or the context is full.",
    ),
    "came_at_once": (
        "{n} of {ok} responses came whole at one moment (median {tokens} tokens): the server or a gateway buffered them.",
        "Their TTFT, TPOT and speed are not the model's, and no figure uses them. Switch the gateway's buffering off, or measure "
        "past it.",
    ),
    "length_ahead": (
        "{n} of {ok} streams came with a Content-Length: a gateway buffered them whole before it sent them.",
        "TTFT and TPOT are null for them. Switch the gateway's buffering off, or measure past it.",
    ),
    "held_back": (
        "in {n} of {ok} responses most output events came together, at far fewer times than there are events.",
        "TTFT, ITL and their goodput are of the gateway or server that holds the events back. Make it send each event as it comes "
        "(haproxy: option http-no-delay; nginx: proxy_buffering off).",
    ),
    "first_message": (
        "in {n} of {ok} responses the first message held over {percent:.0f}% of the tokens (median {tokens} tokens).",
        "TTFT is of all of them, and TPOT is of the other tokens only.",
    ),
    "output_long": (
        "{n} of {ok} responses have more output tokens than max_tokens allowed (median {got} of {asked}; {by}).",
        "The server does not keep to max_tokens, or counts other tokens than it sent. E2E is of answers longer than asked for.",
    ),
    "not_streamed": (
        "{n} of {ok} responses were not streamed although stream=True was asked for.",
        "TTFT and TPOT are null for them. Check the model's own stream switch.",
    ),
    "clock_bound": (
        "the clock's proven error of {what} (p99 {bound_ms:.2f} ms) is {percent:.0f}% of its median.",
        "Give the engine room: {room}, fewer in flight, or an idle machine.",
    ),
    "clock_user": (
        "{n} of {sent} requests were timed by {by} and not by the OS kernel, so their error is {error}.",
        "{cure}",
    ),
    "clock_stepped": (
        "The wall clock was stepped by {step_ms:.1f} ms during the run.",
        "No figure is bent by it: all times are on the monotonic clock.",
    ),
    "few_requests": (
        "{n} successful requests, for how much they depend on each other, are too few for an upper bound on {what}.",
        "Such a figure is shown as '>= low'. Raise max_requests.",
    ),
    "few_repeats": (
        "its intervals rest on the means of {n} repeats.",
        "They are wide, and rightly so; {least} repeats at least, 10 where precision matters.",
    ),
    "short_run": (
        "{what} stays alike for about {lasts:.3g} s at a time, and the level took {seconds:.3g} s.",
        "Its interval speaks of that stretch of time, not of the endpoint: take {least} such times ({need} s), or repeats=10.",
    ),
    "trend": (
        "{what} changed as the level went on ({percent}% from its first quarter to its last; Kendall's tau {tau}, p {p}).",
        "A mean speaks of neither end; look at the timeline, and run for longer or in repeats. A drift looks the same.",
    ),
    "falls_behind": (
        "the endpoint falls behind for good: requests in flight rose from {early:.3g} to {late:.3g}.",
        "Every latency is then of how long the level was, not of the endpoint. Lower request_rate.",
    ),
    "level_too_short": (
        "a response takes about {ramp_s:.3g} s and requests were sent for {sent_s:.3g} s, so the level never filled.",
        "Rates per second are null. Raise max_requests or max_seconds so that the level is at least twice as long.",
    ),
    "ttft_waiting": (
        "requests waited in a queue of which this level has seen little: TTFT spreads more than fourfold, and grows with the "
        "number of others in flight.",
        "So latencies lack an upper bound and goodput a lower one, and the mean of TTFT may be far too low. Use repeats=10, or go "
        "on for much longer.",
    ),
    "near_capacity": (
        "this is {percent:.0f}% of the most that the endpoint was seen to serve.",
        "TTFT and goodput vary slowly here: one run may lack a bound of them. At 85% of capacity intervals hold TTFT's mean and "
        "goodput in about 88%, at 95% those of E2E in 65%. Use repeats=10.",
    ),
    "serialised": (
        "it looks serialised: {what}.",
        "The endpoint works on one request at a time; on Baseten check predict_concurrency and concurrency_target. If nothing was "
        "streamed, a server that is busy with long inputs looks the same.",
    ),
    "own_limits": (
        "{n} of {sent} requests failed on this machine and not at the endpoint; most often: {message}",
        "Raise that limit or lower the load. What failed here says nothing of the endpoint.",
    ),
    "rate_limited": (
        "{n} of {sent} requests were refused with 429: a rate limit, of the account or the model.",
        "Figures are then of the limit and not of the model: lower the load, or have the limit raised.",
    ),
    "window_uncut": (
        "fewer than 10 times the level's requests were sent, so start and drain are in the figures.",
        "Send at least {need} requests to have them cut.",
    ),
    "verify_off": ("TLS certificates were not checked (verify=False).", "Anybody on the way can read the key."),
    "key_in_clear": ("The API key went over plain http to {host}.", "Use https."),
    "schedule_lag": (
        "requests left up to {lag_ms:.0f} ms (p99) after they were due: this client could not keep the rate.",
        "Lower request_rate, or use workers.",
    ),
    "in_flight_capped": (
        "max_in_flight={limit} held back {n} requests.",
        "The offered load was below request_rate; latencies from the due time say so.",
    ),
    "capture_full": ("Raw bytes of {n} exchanges were not kept: capture_limit_mb={limit} was reached.", ""),
    "worker_lost": (
        "worker {worker} of {workers} was lost ({why}), and {n} request(s) with it; then the level ran below its load.",
        "Run the level again where its figures matter; a process that is killed was often out of memory.",
    ),
    "data_left_out": (
        "{n} of the {rows} rows of the data set are left out: {why}.",
        "Mend these rows, or take them out of the file; the figures are of the other rows.",
    ),
    "data_header": (
        "The CSV of prompts has no header line that is known: its first line, {line!r}, {done}.",
        "Put the line `prompt` above the first prompt, or name the column with prompt_column.",
    ),
    "data_unsent": (
        "Of the data set, {sent} is sent; not sent: {unsent}.",
        "If one of these belongs to the request, give its column the name of what it is (prompt, system, max_tokens, tools): "
        "docs/reference/scenarios.md has the names.",
    ),
    "genai_bench": (
        "These {files} level(s) were measured with genai-bench, which keeps no times of sending: throughput is null here.",
        "Its own totals are in run.metadata['genai_bench']; docs/reference/genai-bench.md says how its definitions differ.",
    ),
    "genai_bench_ms": ("{n} file(s) have latencies in ms; they were read as seconds.", ""),
    "genai_bench_ttft": (
        "{n} request(s) have a TTFT that genai-bench made up (1 ms, or none); it and TPOT are null.",
        "Where nothing was streamed there is none: measure with streaming.",
    ),
    "genai_bench_empty": (
        "{n} request(s) without any output token count as successes there; here they are 'empty'.",
        "genai-bench loses the text of some formats; measure the endpoint again with basetenkit.",
    ),
    "genai_bench_zero": (
        "{n} request(s) have no usable error code and no figures; they count as failed here.",
        "There a code of 0 counts as a success.",
    ),
    "genai_bench_error_rate": (
        "{n} of {files} file(s) state an error rate that their own requests belie; it was counted again.",
        "genai-bench writes 0, whatever happened.",
    ),
    "genai_bench_lost": (
        "{n} request(s) are in genai-bench's totals and not among its requests.",
        "Nothing can be told of them; percentiles are of the others.",
    ),
    "tokens_spent": ("max_total_tokens={limit} was reached, so the level ended early.", ""),
}


def finding(code: str, where: str = "", **fields: object) -> Finding:
    """The finding `code`, about the level `where`, with its figures. KeyError if there is no such code."""
    if code not in RUN_FINDINGS:
        raise KeyError(code)
    return Finding(code, where, fields)

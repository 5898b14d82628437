"""The findings of a run: rows -> warnings about its figures. Their texts are in `core/findings.py`; this module decides when
each is true."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import polars as pl

from ..config.endpoint import LOOPBACK
from ..config.loads import LevelKey
from ..config.run_config import RunConfig
from ..config.scenarios import CachedConversation, parse_scenario
from ..core.findings import Finding, finding
from ..core.reasons import Stop, StopReason
from ..core.types import Cause
from ..results.manifest import LevelEntry, Manifest, Metadata
from ..results.row_notes import noted
from ..results.schema import LEVEL, is_open_loop
from ..workload.tokenizer import EMBEDDED
from .behaviour import flat_throughput, near_capacity, of_behaviour
from .clock_error import BOUNDED, error_name
from .delivery import of_delivery, too_long
from .hosts import of_hosts
from .metrics import AROUND, PERCENTILES

SHORT = 0.9  # of the requested output tokens: a response below it is worth a finding
TOKENS_DIFFER = 0.10
BOUND_SHARE = 0.05
LAG_S = 0.010
HANGS = 3.0
TEMPLATE_TOKENS, ALIKE_TOKENS = 100, 4


def diagnose(
    requests: pl.DataFrame, summary: pl.DataFrame, config: RunConfig, manifest: Manifest, left_out: list[str]
) -> list[Finding]:
    """The findings of a run, gravest first: of the whole, then of each (scenario, load, level)."""
    found = list(_of_the_run(config, manifest, left_out))
    planned = requests.filter(~pl.col("phase").is_in(AROUND))
    for key, rows in planned.group_by(LEVEL, maintain_order=True):
        level = LevelKey.of(rows.row(0, named=True))
        where, entries = str(level), manifest.of_level(level)
        found += _of_a_level(where, rows, entries, config, manifest.metadata)
        figures = summary.filter(pl.all_horizontal(pl.col(c) == k for c, k in zip(LEVEL, key, strict=True)))
        found += _of_the_clock(where, figures, config.workers)
        found += _of_tails(where, rows, figures)
    found += near_capacity(summary)
    found += flat_throughput(summary, {f.where for f in found if f.code == "serialised"})
    order = [
        "nothing_answers",
        "all_failed",
        "gave_up",
        "stopped_early",
        "some_failed",
        "rate_limited",
        "falls_behind",
        "serialised",
    ]
    return sorted(found, key=lambda f: order.index(f.code) if f.code in order else len(order))


def _of_the_run(config: RunConfig, manifest: Manifest, left_out: list[str]) -> Iterator[Finding]:
    undone = [entry for entry in manifest.levels if not entry.done]
    events = manifest.metadata.events
    yield from events
    if (undone or left_out) and not any(event.code == "nothing_answers" for event in events):
        what = [f"{len(undone)} of {len(manifest.levels)} level(s) are not done"] if undone else []
        what += [f"{len(left_out)} file(s) could not be read ({', '.join(left_out)})"] if left_out else []
        yield finding("stopped_early", what="; ".join(what))
    endpoint = config.endpoint
    if endpoint.verify is False:
        yield finding("verify_off")
    host = endpoint.host
    sends_key = manifest.metadata.key_sent
    if sends_key and urlsplit(endpoint.url).scheme == "http" and host not in LOOPBACK:
        yield finding("key_in_clear", host=host)
    for entry in manifest.levels:
        for lost in entry.workers_lost:
            senders = len(entry.workers) + len(entry.workers_lost)
            told = {"worker": lost.worker, "workers": senders, "why": lost.why, "n": lost.requests}
            yield finding("worker_lost", where=str(entry.key), **told)


def _of_a_level(
    where: str, rows: pl.DataFrame, entries: list[LevelEntry], config: RunConfig, about: Metadata
) -> Iterator[Finding]:
    ok = rows.filter(pl.col("outcome") == "ok")
    yield from _of_failures(where, rows, ok, entries, config)
    yield from _of_the_plan(where, rows, entries, config)
    yield from _of_conversations(where, rows, entries, config)
    if not ok.height:
        return
    # A limit that a row of a data set has is not a length that its answer must reach.
    fixed = config.dataset is None or parse_scenario(ok["scenario"][0]).fixed_output
    yield from _of_tokens(where, ok, about.tokenizer, fixed or bool(config.request_params.get("ignore_eos")))
    yield from _of_the_cache(where, ok)
    yield from _of_stamps(where, rows, about.timed_by)
    yield from of_hosts(where, rows.filter(pl.col("in_window")))
    when_known = rows["start_s"].count() > 0  # not in what another tool measured
    if when_known:
        yield from of_behaviour(where, rows)
    yield from of_delivery(where, ok, config)
    uncut = rows.filter(pl.col("phase") == "measured")["in_window"].all() and not config.steady
    if when_known and uncut and not is_open_loop(rows):
        yield finding("window_uncut", where=where, need=int(10 * rows["level"][0]))
    held = sum(entry.held_back for entry in entries)
    if held:
        yield finding("in_flight_capped", where=where, limit=config.max_in_flight, n=held)
    # a guard that delays requests does not count as the client's lag
    if when_known and is_open_loop(rows) and not held:
        lag = (rows["start_s"] - rows["scheduled_s"]).quantile(0.99)
        if lag is not None and lag > LAG_S:
            yield finding("schedule_lag", where=where, lag_ms=lag * 1e3)


def _of_failures(
    where: str, rows: pl.DataFrame, ok: pl.DataFrame, entries: list[LevelEntry], config: RunConfig
) -> Iterator[Finding]:
    failed = rows.filter(pl.col("outcome") != "ok")
    if any(entry.tokens_guard for entry in entries):
        yield finding("tokens_spent", where=where, limit=config.max_total_tokens)
    if not failed.height:
        return
    uncut = failed.filter(pl.col("outcome") != "cancelled")
    message = (uncut if uncut.height else failed)["error_message"].drop_nulls().mode().sort().first() or "no message"
    if any(x.ended_by is not None and x.ended_by.reason is StopReason.FAILURES for x in entries):
        yield finding("gave_up", where=where, n=config.abort_after_failures, message=message)
    own = failed.filter(pl.col("error_cause") == Cause.OWN_LIMIT)
    if own.height:
        told = own["error_message"].mode().sort().first()
        yield finding("own_limits", where=where, n=own.height, sent=rows.height, message=told)
    if limited := failed.filter(pl.col("status") == 429).height:
        yield finding("rate_limited", where=where, n=limited, sent=rows.height)
    if not ok.height:
        yield finding("all_failed", where=where, sent=rows.height, message=message)
    elif uncut.height:
        outcomes = dict(uncut["outcome"].value_counts(sort=True).iter_rows())
        yield finding(
            "some_failed", where=where, failed=uncut.height, sent=rows.height, outcomes=outcomes, message=message
        )
    yield from _of_unanswered(where, rows, ok)


def _of_unanswered(where: str, rows: pl.DataFrame, ok: pl.DataFrame) -> Iterator[Finding]:
    """Of requests that had no answer when the level ended, although they waited far longer than any successful request took: the
    end of the level is not the cause, and the endpoint may hang."""
    cut = rows.filter(
        (pl.col("outcome") == "cancelled") & pl.col("ttft_s").is_null() & pl.col("first_byte_s").is_null()
    )
    longest = ok["e2e_s"].max()
    if longest is None:
        return
    waited = (cut["end_s"] - cut["sent_s"]).drop_nulls()
    waiting = waited.filter(waited > HANGS * longest)  # type: ignore[operator]
    if waiting.len():
        least, most = float(waiting.min()), float(longest)  # type: ignore[arg-type]
        yield finding("unanswered", where=where, n=waiting.len(), sent=rows.height, waited=least, longest=most)


def _of_tokens(where: str, ok: pl.DataFrame, tokenizer: str, asks_length: bool) -> Iterator[Finding]:
    by_tokenizer = (pl.col("token_source") == "tokenizer") & pl.col("output_tokens").is_not_null()
    counted = ok.filter(by_tokenizer & ~noted("over_max_tokens")).height
    if counted:
        yield finding("tokens_by_tokenizer", where=where, n=counted, ok=ok.height, tokenizer=repr(tokenizer))
    for what in ("input", "output"):
        both = ok.filter(pl.col(f"{what}_tokens_server").is_not_null() & pl.col(f"{what}_tokens_client").is_not_null())
        server, client = int(both[f"{what}_tokens_server"].sum()), int(both[f"{what}_tokens_client"].sum())
        if both.height and abs(server - client) > TOKENS_DIFFER * max(server, 1):
            percent = 100 * abs(server - client) / max(server, 1)
            cause = _cause(what, both, server, client, tokenizer)
            numbers = {"percent": percent, "server": server, "client": client, "what": what, "cause": cause}
            yield finding("tokenizer_differs", where=where, tokenizer=repr(tokenizer), **numbers)
    asked = ok.filter(pl.col("output_tokens_target").is_not_null() & pl.col("output_tokens").is_not_null())
    short = asked.filter(pl.col("output_tokens") < pl.col("output_tokens_target"))
    if asks_length and (short["output_tokens"] < SHORT * short["output_tokens_target"]).any():
        got, want = (float(short[c].median() or 0) for c in ("output_tokens", "output_tokens_target"))  # type: ignore[arg-type]
        yield finding("output_short", where=where, n=short.height, ok=asked.height, got=f"{got:g}", asked=f"{want:g}")
    yield from too_long(where, ok, tokenizer == EMBEDDED)


def _of_the_cache(where: str, ok: pl.DataFrame) -> Iterator[Finding]:
    """Of more tokens from the server's cache than the scenario shares; a conversation's later turns are meant to have them."""
    asked = ok.filter(pl.col("conversation_id").is_null() & pl.col("input_tokens").is_not_null())
    parts = parse_scenario(asked["scenario"][0]).parts if asked.height else ()
    if not asked.height or any(isinstance(part, CachedConversation) for part in parts):
        return
    prefix = max(getattr(part, "prefix_tokens", 0) for part in parts)
    hits = asked.filter(pl.col("cached_tokens") > (_shared_at_most(prefix) if prefix else 0))
    if not hits.height:
        return
    cached, tokens = int(hits["cached_tokens"].sum()), int(asked["input_tokens"].sum())
    planned = f"and of each only the {prefix} of its shared prefix are planned" if prefix else "and none are planned"
    numbers = {"cached": cached, "tokens": tokens, "percent": 100 * cached / max(tokens, 1), "n": hits.height}
    yield finding("cached_unplanned", where=where, ok=asked.height, planned=planned, **numbers)


def _shared_at_most(prefix: int) -> pl.Expr:
    """A prefix in the server's tokens, with what a chat template may put before it and a few words that happen to be alike."""
    server, client = pl.col("input_tokens"), pl.col("input_tokens_client").fill_null(pl.col("input_tokens"))
    template = (server - client).clip(0, TEMPLATE_TOKENS)
    return prefix * (server / client).clip(lower_bound=1) + template + ALIKE_TOKENS


def _of_the_plan(where: str, rows: pl.DataFrame, entries: list[LevelEntry], config: RunConfig) -> Iterator[Finding]:
    """Of what was planned and did not end, and of how precise a level was to become."""
    planned = sum(entry.goal or config.requests_of(entry.key.load) for entry in entries)
    planned += config.warmup_requests * len(entries)
    first = rows.filter(pl.col("attempt").fill_null(1) == 1)
    cut, unsent = (rows["outcome"] == "cancelled").sum(), planned - first.height
    if entries and (cut or unsent > 0) and all(entry.done for entry in entries):
        guarded = any(entry.tokens_guard for entry in entries)
        ended = next(
            (entry.ended_by for entry in entries if entry.ended_by), Stop(StopReason.TOKENS) if guarded else None
        )
        why = "they were lost" if ended is None else ended.saved()
        yield finding(
            "unfinished", where=where, n=cut + max(unsent, 0), planned=planned, cut=cut, unsent=max(unsent, 0), why=why
        )
    for entry in entries:
        if found := entry.until:
            said = [
                f"{name} {'without an upper bound' if half is None else f'±{half:.1%}'} (±{config.until[name]:.1%} asked for)"
                for name, half in found.reached.items()
            ]
            code = "precise" if found.enough else "not_precise"
            yield finding(code, where=where, n=found.n, reached=", ".join(said))


def _of_conversations(
    where: str, rows: pl.DataFrame, entries: list[LevelEntry], config: RunConfig
) -> Iterator[Finding]:
    """Of conversations that a failed turn ended, and the turns of theirs that were never sent. A conversation's numbers end
    where the next one's begin; where the last one's do is known only in a level that went to its end."""
    cut = {x.repeat for x in entries if x.ended_by or x.tokens_guard or not x.done}
    total = config.requests_of(LevelKey.of(rows.row(0, named=True)).load) + config.warmup_requests
    talks = (
        rows.filter(pl.col("conversation_id").is_not_null())
        .drop_nulls("number")
        .with_columns(first=pl.col("number").min().over("repeat", "conversation_id"), last="number")
        .sort("last", "attempt")
        .group_by("repeat", "conversation_id", "first")
        .agg(pl.col("last", "outcome").last())
        .sort("repeat", "first")
        .with_columns(end=pl.col("first").shift(-1).over("repeat"))
        .with_columns(end=pl.coalesce("end", pl.when(pl.col("repeat").is_in(cut)).then("last").otherwise(total)))
    )
    early = talks.filter(~pl.col("outcome").is_in(["ok", "cancelled"]) & (pl.col("last") + 1 < pl.col("end")))
    if early.height:
        lost = (early["end"] - early["last"] - 1).sum()
        yield finding("conversations_ended", where=where, n=early.height, held=talks.height, lost=lost)


def _of_tails(where: str, rows: pl.DataFrame, summary: pl.DataFrame) -> Iterator[Finding]:
    """Which of the percentiles that are asked for most have a value and no top: TTFT's, or E2E's if there is none. Not p99: it
    needs 368 independent requests at least, and a finding that comes in every run is read in none."""
    if not summary.height:
        return
    figures = summary.row(0, named=True)
    metric, title = ("ttft_s", "TTFT") if figures["ttft_s_p50"] is not None else ("e2e_s", "E2E")
    names = {f"p{p}": f"{metric}_p{p}" for p in PERCENTILES if p < 99}
    open_ended = [p for p, name in names.items() if figures[name] is not None and figures[f"{name}_high"] is None]
    if open_ended:
        n = rows.filter(pl.col("in_window") & (pl.col("outcome") == "ok")).height
        yield finding("few_requests", where=where, n=n, what=f"{title} {', '.join(open_ended)}")


def _cause(what: str, both: pl.DataFrame, server: int, client: int, tokenizer: str) -> str:
    """The likely reason for a difference between the server's count and the tokenizer's, in words."""
    extra = both["input_tokens_server"] - both["input_tokens_client"] if what == "input" else None
    if extra is not None and server > client and extra.n_unique() == 1:
        return f"the chat template, which adds {extra[0]} tokens to each prompt"
    if what == "output" and both["reasoning_tokens"].sum():
        return "reasoning tokens that are not in the text"
    return f"another vocabulary than {tokenizer!r}"


def _of_stamps(where: str, rows: pl.DataFrame, tool: str | None) -> Iterator[Finding]:
    """`tool`: the other tool that timed the requests of an imported run, or None."""
    by_user = rows.filter(pl.col("clock") == "user").height
    if by_user:
        by, error = (tool, "not known") if tool else ("this process", "wider")
        cure = "The OS's receive timestamps need Linux and a direct connection (no proxy, no HTTP/2)."
        cure = f"{tool} records no such error: measure with basetenkit to know it." if tool else cure
        yield finding("clock_user", where=where, n=by_user, sent=rows.height, by=by, error=error, cure=cure)


def _of_the_clock(where: str, summary: pl.DataFrame, workers: int) -> Iterator[Finding]:
    """Of each metric whose bound is a large part of it: the two numbers of the summary."""
    for figures in summary.iter_rows(named=True):
        for name, title in BOUNDED.items():
            bound, median = figures[error_name(name)], figures[f"{name}_p50"]
            if bound is not None and median and bound > BOUND_SHARE * median:
                room = f"workers={workers + 1} if a core is free" if workers else "workers=1"
                numbers = {"bound_ms": bound * 1e3, "percent": 100 * bound / median, "room": room}
                yield finding("clock_bound", where=where, what=title, **numbers)

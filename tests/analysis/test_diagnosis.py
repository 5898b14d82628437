"""Every finding, caused by rows that cause it, and absent if nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

import basetenkit as bk
from basetenkit.analysis.diagnosis import diagnose
from basetenkit.analysis.summary import summarise
from basetenkit.core.findings import RUN_FINDINGS, Finding, finding
from basetenkit.core.notes import note
from basetenkit.core.types import Cause
from basetenkit.results.manifest import Manifest
from basetenkit.results.row_notes import saved

from .frames import failures, nothing, rows

N = 1200
Case = tuple[pl.DataFrame, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]


def config(endpoint: dict[str, Any] | None = None, **fields: Any) -> bk.RunConfig:
    where = {"url": "http://127.0.0.1:9/v1/chat/completions", "model": "m"} | (endpoint or {})
    return bk.RunConfig(steady=False, preflight=False, endpoint=bk.Endpoint(**where), **fields)


def clean(n: int = N, **columns: Any) -> pl.DataFrame:
    """Independent latencies, enough of them for every tail."""
    rng = np.random.default_rng(4)
    ttft = rng.uniform(0.1, 0.2, n)
    defaults: dict[str, Any] = {"ttft_s": ttft, "e2e_s": ttft + rng.uniform(0.3, 0.5, n), "level": 4.0}
    return rows(n, **(defaults | columns))


def diagnosis(
    frame: pl.DataFrame,
    settings: bk.RunConfig | None = None,
    entry: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    left_out: list[str] | None = None,
) -> list[Finding]:
    keys = frame.select("scenario", "load", "level", "repeat").unique(maintain_order=True).iter_rows(named=True)
    levels = [{"done": True, "ended_by": None} | key | (entry or {}) for key in keys]
    document = {"config": {}, "levels": levels, "metadata": {"tokenizer": "embedded"} | (metadata or {})}
    manifest = Manifest.model_validate(document)
    return diagnose(frame, summarise(frame), settings or config(), manifest, left_out or [])


def mixed(n_bad: int, outcome: str = "http_error") -> pl.DataFrame:
    good = clean()
    bad = failures(n_bad, outcome, level=4.0, start_s=np.arange(n_bad) + float(N))
    return pl.concat([good, bad])


def own_limit() -> list[pl.Expr]:
    failed, said = pl.col("outcome") != "ok", {"error_message": "no file is left", "error_cause": Cause.OWN_LIMIT.value}
    return [pl.when(failed).then(pl.lit(text)).alias(name) for name, text in said.items()]


def refused(code: str) -> dict[str, Any]:
    return finding(code, message="Connection refused", advice="Check the host and the port.").saved()


def looked(enough: bool) -> dict[str, Any]:
    return {"reached": {"e2e_s_p50": 0.04 if enough else 0.2}, "enough": enough, "n": N}


def cut_short(waited: float, n: int = 4) -> pl.DataFrame:
    """A level that ended by time, with `n` requests in flight that had waited so long (s)."""
    start = np.full(n, float(N))
    cut = failures(n, "cancelled", level=4.0, start_s=start, end_s=start + waited, status=None, error_message="cut")
    return pl.concat([clean(), cut])


def warmed(frame: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([rows(3, level=4.0, phase="warmup", start_s=[-3.0, -2.0, -1.0]), frame])


def drifting(strength: float) -> pl.DataFrame:
    """E2E that goes up and down twice in the level: no trend, and far fewer than 25 correlation times."""
    slow = np.sin(np.linspace(0, 4 * np.pi, N))
    return clean(e2e_s=1.0 + strength * slow + np.random.default_rng(1).uniform(0, 0.1, N))


def backlog(rate: float = 2.0, served: float = 1.0) -> pl.DataFrame:
    """An open loop whose endpoint serves fewer a second than come, one after the other."""
    start = np.arange(N) / rate
    end = (np.arange(N) + 1) / served
    return clean(load="request_rate", level=rate, start_s=start, e2e_s=end - start, end_s=end, ttft_s=0.15)


def queue(load: float, seed: int = 3) -> pl.DataFrame:
    """An open loop to one server with Poisson arrivals: TTFT is the wait and a little."""
    rng = np.random.default_rng(seed)
    start = np.cumsum(rng.exponential(1.0, N))
    work = rng.uniform(0.9, 1.1, N) * load
    end = np.zeros(N)
    for i in range(N):
        end[i] = max(start[i], end[i - 1] if i else 0.0) + work[i]
    return clean(load="request_rate", start_s=start, end_s=end, ttft_s=end - work - start + 0.05, e2e_s=end - start)


def levels(load: str, *served: tuple[float, float, float]) -> pl.DataFrame:
    """Levels of (level, requests/s, E2E s) with evenly spaced ends. An open loop sends at its level."""
    parts = []
    for level, rate, e2e in served:
        end = np.arange(N) / rate + e2e
        start = np.arange(N) / (level if load == "request_rate" else rate)
        parts.append(clean(load=load, level=level, start_s=start, ttft_s=0.1, e2e_s=end - start, end_s=end))
    return pl.concat(parts)


def wave(c: int = 6) -> pl.DataFrame:
    """A closed loop of `c` to a server that works on one at a time: 0.3, 0.6, 0.9 s and so on."""
    frame = clean(120, level=float(c))
    at_once = pl.col("start_s").rank("ordinal") <= c
    first = pl.when(at_once)
    place = pl.col("start_s").rank("ordinal")
    start = pl.when(at_once).then(place * 1e-3).otherwise("start_s")
    return frame.with_columns(start_s=start, e2e_s=first.then(0.3 * place).otherwise(0.3 * c))


def talks(turns: list[int], failed: list[int], of: int = 3, repeat: int = 0) -> pl.DataFrame:
    """Conversations of `of` turns, of which so many were sent; the last turn of the `failed` ones is an error."""
    sent = [(i, turn, i * of + turn) for i, n in enumerate(turns) for turn in range(n)]
    bad = ["http_error" if i in failed and turn == turns[i] - 1 else "ok" for i, turn, _ in sent]
    names = [f"s-{repeat:03d}-{number:06d}" for _, _, number in sent]
    return rows(
        len(sent),
        request_id=names,
        number=[number for _, _, number in sent],
        conversation_id=[f"s-{repeat:03d}-{i * of:06d}" for i, _, _ in sent],
        turn=[turn + 1 for _, turn, _ in sent],
        outcome=bad,
        repeat=repeat,
        error_message=["overloaded" if outcome != "ok" else None for outcome in bad],
    )


LEFT_OUT = {"code": "data_left_out", "fields": {"n": 3, "rows": 4, "why": "nothing is asked (row 1)"}}
HEADER = {"code": "data_header", "fields": {"line": "Hello", "done": "is sent as a prompt"}}
UNSENT = {"code": "data_unsent", "fields": {"sent": "prompt", "unsent": "id"}}


def seen_from(delays: dict[str, float], rtt_s: float = 0.001) -> pl.DataFrame:
    """A run from several machines, each of which has so many s more of TTFT."""
    frame, hosts = clean(), list(delays)
    number = pl.int_range(pl.len()) % len(hosts)
    late = number.replace_strict(list(range(len(hosts))), list(delays.values()), return_dtype=pl.Float64)
    name = number.replace_strict(list(range(len(hosts))), hosts, return_dtype=pl.String)
    return frame.with_columns(
        host=name,
        worker="tcp://" + name + ":1",
        rtt_s=pl.lit(rtt_s),
        ttft_s=pl.col("ttft_s") + late,
        e2e_s=pl.col("e2e_s") + late,
    )


NOT_UPLOADED = finding("not_uploaded", files=3, url="s3://b/run", message="it does not answer", spool="runs/x").saved()

# code -> what causes it
CAUSES: dict[str, Callable[[], list[Finding]]] = {
    "all_failed": lambda: diagnosis(failures(30)),
    "some_failed": lambda: diagnosis(mixed(5)),
    "gave_up": lambda: diagnosis(failures(50), entry={"ended_by": {"reason": "failures", "requests": 50}}),
    "stopped_early": lambda: diagnosis(clean(), entry={"done": False}),
    "tokens_by_tokenizer": lambda: diagnosis(clean(token_source="tokenizer", output_tokens_server=None)),
    "tokenizer_differs": lambda: diagnosis(clean(input_tokens_server=120)),
    "cached_unplanned": lambda: diagnosis(clean(cached_tokens=16)),
    "conversations_ended": lambda: diagnosis(talks([3, 2, 3, 3], failed=[1]), config(max_requests=12)),
    "output_short": lambda: diagnosis(clean(output_tokens=7, output_tokens_server=7, output_tokens_client=7)),
    "came_at_once": lambda: diagnosis(
        clean().with_columns(ttft_s=pl.when(pl.int_range(pl.len()) < 9).then("e2e_s").otherwise("ttft_s"))
    ),
    "own_limits": lambda: diagnosis(mixed(3).with_columns(own_limit())),
    "unanswered": lambda: diagnosis(cut_short(waited=60.0, n=1)),
    "unfinished": lambda: diagnosis(cut_short(waited=0.3, n=1), entry={"ended_by": {"reason": "time", "seconds": 9.0}}),
    "precise": lambda: diagnosis(clean(), config(until={"e2e_s_p50": 0.05}), entry={"until": looked(True)}),
    "not_precise": lambda: diagnosis(clean(), config(until={"e2e_s_p50": 0.05}), entry={"until": looked(False)}),
    "length_ahead": lambda: diagnosis(clean(ttft_s=None, ttft_error_s=None, notes=[[saved(note("length_ahead"))]] * N)),
    "held_back": lambda: diagnosis(clean(notes=[[saved(note("few_times", n=20, times=3))]] * N)),
    "first_message": lambda: diagnosis(clean(notes=[[saved(note("first_message", n=5, tokens=20))]] * N)),
    "output_long": lambda: diagnosis(clean(output_tokens_target=10)),
    "not_streamed": lambda: diagnosis(clean(ttft_s=None, ttft_error_s=None)),
    "clock_bound": lambda: diagnosis(clean(ttft_error_s=0.015)),
    "clock_user": lambda: diagnosis(clean(clock="user")),
    "clock_stepped": lambda: diagnosis(clean(), metadata={"events": [finding("clock_stepped", step_ms=250.0).saved()]}),
    "few_requests": lambda: diagnosis(clean(60)),
    "window_uncut": lambda: diagnosis(warmed(clean(39))),
    "verify_off": lambda: diagnosis(clean(), config({"verify": False})),
    "key_in_clear": lambda: diagnosis(clean(), config({"url": "http://models.example/x"}), metadata={"key_sent": True}),
    "schedule_lag": lambda: diagnosis(clean(load="request_rate", scheduled_s=np.arange(N) - 0.2)),
    "in_flight_capped": lambda: diagnosis(
        clean(load="request_rate"), config(max_in_flight=3, request_rate=[4]), entry={"held_back": 17}
    ),
    "data_left_out": lambda: diagnosis(clean(), metadata={"events": [LEFT_OUT]}),
    "data_header": lambda: diagnosis(clean(), metadata={"events": [HEADER]}),
    "data_unsent": lambda: diagnosis(clean(), metadata={"events": [UNSENT]}),
    "nothing_answers": lambda: diagnosis(clean(), metadata={"events": [refused("nothing_answers")]}),
    "preflight_failed": lambda: diagnosis(clean(), metadata={"events": [refused("preflight_failed")]}),
    "capture_full": lambda: diagnosis(clean(), metadata={"events": [finding("capture_full", n=3, limit=256).saved()]}),
    "few_repeats": lambda: diagnosis(pl.concat([clean(), clean(repeat=1)])),
    "short_run": lambda: diagnosis(drifting(0.3)),
    "trend": lambda: diagnosis(clean(e2e_s=np.linspace(1.0, 2.0, N))),
    "falls_behind": lambda: diagnosis(backlog()),
    "level_too_short": lambda: diagnosis(clean(load="request_rate", level=1.0, e2e_s=0.7 * N)),
    "ttft_waiting": lambda: diagnosis(queue(0.85)),
    "near_capacity": lambda: diagnosis(levels("request_rate", (5.0, 5.0, 0.5), (9.0, 9.0, 0.5), (20.0, 10.0, 0.5))),
    "serialised": lambda: diagnosis(levels("concurrency", (1.0, 2.0, 0.5), (8.0, 2.1, 3.9))),
    "rate_limited": lambda: diagnosis(mixed(5).with_columns(status=pl.when(pl.col("status") == 503).then(429))),
    "worker_lost": lambda: diagnosis(
        clean(), entry={"workers_lost": [{"worker": 0, "why": "was killed", "requests": 3}]}
    ),
    "not_uploaded": lambda: diagnosis(clean(), metadata={"events": [NOT_UPLOADED]}),
    "not_locked": lambda: diagnosis(clean(), metadata={"events": [finding("not_locked", url="s3://b/run").saved()]}),
    "host_slower": lambda: diagnosis(seen_from({"a": 0.0, "b": 0.0, "c": 0.4})),
    "tokens_spent": lambda: diagnosis(clean(), config(max_total_tokens=5000), entry={"tokens_guard": True}),
}


IMPORTED = [code for code in RUN_FINDINGS if code.startswith("genai_bench")]
for code in IMPORTED:
    event = {"code": code, "fields": {"n": 3, "files": 4}}
    CAUSES[code] = lambda event=event: diagnosis(clean(), metadata={"events": [event]})  # type: ignore[misc]

MORE_THAN_ONE = {
    "own_limits",
    "all_failed",
    "conversations_ended",
    "gave_up",
    "falls_behind",
    "level_too_short",
    "near_capacity",
    "few_requests",
    "window_uncut",
    "rate_limited",
    "few_repeats",
    "ttft_waiting",
}


def test_a_clean_run_has_no_finding() -> None:
    assert diagnosis(clean()) == []
    assert diagnosis(clean(load="request_rate")) == []


def test_a_run_of_which_nothing_was_sent_says_only_that_it_was_stopped() -> None:
    assert diagnosis(nothing()) == []


@pytest.mark.parametrize("code", RUN_FINDINGS)
def test_every_finding_has_a_cause_and_its_sentence_is_whole(code: str) -> None:
    found = {f.code: f for f in CAUSES[code]()}
    assert code in found
    assert "{" not in str(found[code])
    assert "None" not in found[code].sentence


@pytest.mark.parametrize("code", sorted(set(CAUSES) - MORE_THAN_ONE))
def test_a_cause_brings_its_own_finding_and_no_other(code: str) -> None:
    codes = [f.code for f in CAUSES[code]()]
    assert [found for found in codes if found in (code, *set(codes) - {"unfinished"})] == [code]


def test_the_gravest_comes_first() -> None:
    found = diagnosis(mixed(5), config({"verify": False}), entry={"done": False})
    assert [f.code for f in found] == ["stopped_early", "some_failed", "verify_off"]


def test_failures_are_counted_and_the_commonest_message_is_shown() -> None:
    bad = mixed(3).with_columns(
        error_message=pl.when(pl.col("start_s") == N).then(pl.lit("odd one out")).otherwise("error_message")
    )
    (found,) = diagnosis(bad)
    assert found.sentence.startswith(f"D(100,20) at concurrency 4: 3 of {N + 3} requests")
    assert "(3 http_error)" in found.sentence
    assert found.sentence.endswith("overloaded")


def test_failures_without_a_message_say_so() -> None:
    (found, *_) = diagnosis(failures(5, error_message=None))
    assert found.sentence.endswith("no message")


def test_each_level_speaks_for_itself() -> None:
    found = diagnosis(pl.concat([clean(), clean(level=8.0, clock="user")]))
    assert [(f.code, f.sentence.split(":")[0]) for f in found] == [("clock_user", "D(100,20) at concurrency 8")]


def test_a_constant_difference_of_input_tokens_is_the_chat_template() -> None:
    (found,) = diagnosis(clean(input_tokens_server=120))
    assert "17% on input tokens (144000 against 120000)" in found.sentence
    assert "the chat template, which adds 20 tokens to each prompt" in found.cure
    other = diagnosis(clean(input_tokens_server=[120 + i % 7 for i in range(N)]))
    assert "another vocabulary" in other[0].cure


def test_reasoning_that_is_not_in_the_text_explains_a_difference_of_output_tokens() -> None:
    (found,) = diagnosis(clean(output_tokens_server=25, output_tokens=25, reasoning_tokens=5))
    assert "reasoning tokens" in found.cure


def test_a_difference_within_a_tenth_is_no_finding() -> None:
    assert diagnosis(clean(input_tokens_server=110)) == []


def test_few_requests_names_the_percentiles_that_have_no_top() -> None:
    found = {f.code: f for f in diagnosis(clean(60))}
    assert "for an upper bound on TTFT p95" in found["few_requests"].sentence
    unstreamed = {f.code: f for f in diagnosis(clean(60, ttft_s=None))}
    assert "for an upper bound on E2E p90, p95" in unstreamed["few_requests"].sentence


def test_few_requests_does_not_come_for_p99_alone() -> None:
    assert "few_requests" not in {f.code for f in diagnosis(clean(900))}


def test_a_run_without_streaming_or_of_embeddings_has_no_ttft_and_that_is_as_it_should_be() -> None:
    frame = clean(ttft_s=None, ttft_error_s=None)
    assert diagnosis(frame, config({"stream": False})) == []
    assert diagnosis(frame, config(task="text-to-embeddings", scenarios="E(100)")) == []

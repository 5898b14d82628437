"""What goes out: exact counts and phases, the guard on what is spent, the head that is sent and what it may not show."""

from __future__ import annotations

import json

from basetenkit.config.plan import levels_of
from basetenkit.core.types import Request
from basetenkit.loadgen.counters import MEASURED, Quota
from basetenkit.loadgen.request_source import LOOK_AHEAD, LOOK_AHEAD_BYTES, TokenBudget, request_head

from ..making import KEY, config, drawn, source


def begun(spend: TokenBudget) -> TokenBudget:
    spend.tally.begin(Quota(9))
    return spend


def test_a_level_has_exactly_its_requests_and_the_warm_up_on_top_and_first() -> None:
    requests = [r for r, _ in drawn(source(config(warmup_requests=3, max_requests=5)))]
    assert [r.phase for r in requests] == ["warmup"] * 3 + ["measured"] * 5
    assert [r.request_id for r in requests] == [f"abc-000-{i:06d}" for i in range(8)]


def test_requests_are_built_ahead_up_to_a_bound_and_are_the_same_either_way() -> None:
    c = config(max_requests=9)
    ahead, late = source(c), source(c)
    ahead.fill(4)
    assert [ahead.refill() for _ in range(7)] == [True] * 5 + [False] * 2
    assert [p for _, p in drawn(ahead)] == [p for _, p in drawn(late)]
    many = source(config(scenarios="D(1,1)", max_requests=LOOK_AHEAD + 5))
    many.fill(10**9)
    assert not many.refill()
    assert len(drawn(many)) == LOOK_AHEAD + 5


def test_large_bodies_are_built_ahead_up_to_a_bound_in_bytes() -> None:
    large = source(config(max_requests=12, request_params={"note": "x" * (LOOK_AHEAD_BYTES // 8)}))
    large.fill(12)
    assert not large.refill()
    assert large() is not None
    assert [large.refill(), large.refill()] == [True, False]
    assert len(drawn(large)) == 11


def test_the_payload_is_the_head_its_own_lines_and_the_body() -> None:
    ((request, payload), *_) = drawn(source(config()))
    head, _, body = payload.encode().partition(b"\r\n\r\n")
    assert body == request.body
    lines = head.decode().split("\r\n")
    assert lines == [
        "POST / HTTP/1.1",
        f"x-baseten-customer-request-id: {request.request_id}",
        f"content-length: {len(body)}",
    ]
    sent = json.loads(body)
    assert (sent["max_tokens"], sent["stream"], sent["model"]) == (5, True, "m")
    assert request.input_tokens_client == request.input_tokens_target == 20


def test_the_guard_counts_promises_first_and_what_was_taken_then() -> None:
    spend, request = TokenBudget(limit=100), Request("r", b"", "", input_tokens_client=30, output_tokens_target=20)
    assert [begun(spend).take(request) is not None, *(spend.take(request) is not None for _ in range(2))] == [
        True,
        True,
        False,
    ]
    assert (spend.tally.tokens, spend.tally.reached) == (100, True)
    spend.commit(request, {"sent_s": 1.0, "input_tokens": 30, "output_tokens": 5})
    assert spend.tally.tokens == 85
    spend.commit(request, {"sent_s": 1.0, "input_tokens": 30, "output_tokens": None})
    assert spend.tally.tokens == 85, "what cannot be known is counted as promised"


def test_a_request_that_never_left_is_not_paid_for() -> None:
    spend, request = TokenBudget(limit=100), Request("r", b"", "", input_tokens_client=60, output_tokens_target=20)
    assert begun(spend).take(request) == (0, MEASURED)
    spend.commit(request, {"sent_s": None, "input_tokens": 60, "output_tokens": None})
    assert spend.tally.tokens == 0
    assert spend.take(request) == (1, MEASURED)


def test_without_a_limit_the_guard_only_counts() -> None:
    spend = TokenBudget()
    request = Request("r", b"", "", input_tokens_target=10**9)
    assert [begun(spend).take(request), *(spend.take(request) for _ in range(2))] == [(n, MEASURED) for n in range(3)]
    assert not spend.tally.reached
    assert spend.tally.tokens == 3 * 10**9


def test_a_source_is_dry_when_the_guard_says_so_and_keeps_the_request() -> None:
    spend = TokenBudget(limit=60)
    s = source(config(), spend)
    taken = drawn(s)
    assert len(taken) == 2  # 25 tokens each
    spend.commit(taken[0][0], {"sent_s": 1.0, "input_tokens": 5, "output_tokens": 1})
    assert s() is not None
    assert [r.request_id for r, _ in taken] == ["abc-000-000000", "abc-000-000001"]


def test_sources_of_one_tally_give_each_number_once_and_none_runs_dry_before_the_others() -> None:
    spend, c = TokenBudget(), config(warmup_requests=2, max_requests=5)
    one, other = source(c, spend), source(c, spend)
    one.fill(100)
    given = [s() for s in (other, one, other, other, other, other, one, one, other)]
    requests = [item[0] for item in given if item is not None]
    assert [r.request_id for r in requests] == [f"abc-000-{i:06d}" for i in range(7)]
    assert [r.phase for r in requests] == ["warmup"] * 2 + ["measured"] * 5
    assert given[7:] == [None, None]


def test_a_source_of_a_schedule_has_every_nth_number_and_its_part_of_them() -> None:
    c = config(max_requests=7)
    numbers = [[int(r.request_id[-6:]) for r, _ in drawn(source(c, first=n, stride=3))] for n in range(3)]
    assert numbers == [[0, 3, 6], [1, 4], [2, 5]]


def test_the_key_is_in_no_repr() -> None:
    c = config()
    s = source(c, head=request_head(c.endpoint))
    assert all(KEY.encode() in payload.encode() for _, payload in drawn(s))
    assert KEY not in f"{s!r} {c!r} {levels_of(c)!r}"


def test_users_of_a_full_endpoint_begin_with_whole_requests() -> None:
    def lengths(full: bool) -> list[int]:
        s = source(config(scenarios="D(20,1000)", max_requests=4, steady=True), openings=6)
        s.fill(5)
        first = [s(settled=False) for _ in range(2)]
        if full:
            s.begin_whole()
        return [x[0].output_tokens_target or 0 for x in (*first, *(s(settled=False) for _ in range(4))) if x]

    cut, whole = lengths(False), lengths(True)
    assert all(n < 1000 for n in cut)
    assert whole == [*cut[:2], *[1000] * 4]

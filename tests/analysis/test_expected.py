from __future__ import annotations

from typing import Any

import pytest

import basetenkit as bk
from basetenkit.analysis.expected import TYPICAL, half_width
from basetenkit.core.errors import ConfigError


def plan(**fields: Any) -> bk.Plan:
    endpoint = {"url": "http://127.0.0.1:9/v1/chat/completions", "model": "m"}
    return bk.plan(bk.RunConfig(endpoint=endpoint, **fields))


def test_the_plan_adds_up() -> None:
    plain = {"scenarios": ["D(100,50)", "D(200,50)"], "concurrency": [1, 2], "repeats": 3, "max_requests": 10}
    steady = plan(**plain)
    assert (steady.requests, steady.around) == (12 * 10 + 72 + 1, 72)
    assert steady.tokens == 38_400 + 150  # the preflight request is like one of the first level
    assert steady.words["requests at most"] == "193, about 72 of them to keep the load steady"
    bare = plan(**plain, steady=False, preflight=False)
    assert (len(bare.levels), bare.requests, bare.around, bare.tokens) == (12, 120, 0, 24_000)
    assert bare.minutes == 120
    warm = plan(**plain, steady=False, preflight=False, warmup_requests=2)
    assert (warm.requests, warm.tokens) == (144, 28_800)


def test_the_levels_are_a_frame_too() -> None:
    frame = plan(scenarios="D(1,1)", concurrency=[4], request_rate=[2.5], repeats=2).frame
    assert frame.select("load", "level", "repeat").rows() == [
        ("concurrency", 4.0, 0),
        ("request_rate", 2.5, 0),
        ("concurrency", 4.0, 1),
        ("request_rate", 2.5, 1),
    ]


def test_what_is_not_known_is_none_and_says_why() -> None:
    few = plan(scenarios="D(10,5)", max_requests=5, concurrency=1)
    assert (few.p50, few.p99, few.usd) == (None, None, None)
    assert few.reasons == {
        "usd": "no price is given",
        "p50": "it needs at least 6 requests per level, and the plan has 5",
        "p99": "it needs at least 368 requests per level, and the plan has 5",
    }
    assert "no interval for p50 (it needs at least 6" in few.words["expected precision"]
    assert few.words["US dollars"] == "unknown: no price is given"


def test_precision_grows_with_the_root_of_the_number_of_requests() -> None:
    one, four = half_width("p50", 200), half_width("p50", 800)
    assert one is not None
    assert four is not None
    assert (one.low, one.high) == TYPICAL["p50"]
    assert (four.low, four.high) == pytest.approx([share / 2 for share in TYPICAL["p50"]])
    assert str(one) == "±3% to ±35%"


def test_a_p99_of_few_requests_may_have_no_upper_bound() -> None:
    some, many = plan(max_requests=184, repeats=2).p99, plan(max_requests=1200).p99
    assert some is not None
    assert some.high is None
    assert str(some).endswith("at best")
    assert many is not None
    assert many.high is not None


def test_a_guard_on_tokens_is_part_of_the_plan() -> None:
    assert plan(max_total_tokens=9000).words["tokens expected"].endswith("stopped at 9,000")


def test_tokens_of_a_batch_are_all_counted_and_those_of_images_are_not_guessed() -> None:
    batch: dict[str, Any] = {"task": "text-to-embeddings", "scenarios": "E(50)", "concurrency": 1, "max_requests": 10}
    batch |= {"steady": False, "preflight": False}
    assert plan(**batch, batch_size=4).tokens == 2_000
    several = plan(**batch, batch_size=[2, 4])
    assert (len(several.levels), several.tokens) == (2, 3_000)
    images = plan(task="image-text-to-text", scenarios="I(64,64)")
    assert images.tokens is None
    assert images.words["tokens expected"] == "not known beforehand"
    assert images.reasons["tokens"] == "the scenario I(64,64) does not set the number of tokens per request"


def test_the_plan_shows_itself_as_the_last_line_of_a_cell() -> None:
    shown = plan(scenarios="D(10,5)", concurrency=1)
    bundle = shown._repr_mimebundle_()
    assert "expected precision" in bundle["text/html"]
    assert bundle["text/plain"] == repr(shown)


def test_only_a_config_has_a_plan() -> None:
    with pytest.raises(ConfigError, match="plan takes a RunConfig, not dict"):
        bk.plan({})  # type: ignore[arg-type]


def test_a_price_gives_the_plan_its_dollars() -> None:
    """Known by hand: 2 levels of 10 requests, 100 input and 50 output tokens each, at 1 and 4 US dollars per million."""
    plain: dict[str, Any] = {"scenarios": "D(100,50)", "concurrency": [1, 2], "max_requests": 10}
    plain |= {"steady": False, "preflight": False}
    shared = plan(**plain, price={"usd_per_million_input": 1.0, "usd_per_million_output": 4.0, "source": "a contract"})
    assert shared.usd == pytest.approx((20 * 100 * 1.0 + 20 * 50 * 4.0) / 1e6)
    assert "a contract" in shared.words["US dollars"]
    dedicated = plan(**plain, max_seconds=90, price={"usd_per_minute": 0.5, "replicas": 2})
    assert dedicated.usd == pytest.approx(3 * 0.5 * 2)
    assert dedicated.words["US dollars"].startswith("at most 3.00")
    unknown = plan(
        concurrency=1, task="image-text-to-text", scenarios="I(64,64)", price={"usd_per_million_output": 1.0}
    )
    assert unknown.usd is None
    assert unknown.words["US dollars"].startswith("unknown: the scenario")


def test_the_plan_says_where_requests_go_before_any_is_sent() -> None:
    def at(url: str, **fields: Any) -> Any:
        return bk.plan(bk.RunConfig(endpoint=bk.Endpoint(url=url, model="m", api_key="k"), **fields))

    assert at("http://127.0.0.1:9").words["requests go to"] == "http://127.0.0.1:9/v1/chat/completions"
    assert at("http://127.0.0.1:9", task="text-to-embeddings").url == "http://127.0.0.1:9/v1/embeddings"
    assert at("http://u:secret@127.0.0.1:9/v1").url == "http://127.0.0.1:9/v1/chat/completions"
    several = at("https://model-abcd1234.api.baseten.co")
    assert several.url is None
    assert (
        "several paths fit: https://model-abcd1234.api.baseten.co/environments/production/predict"
        in several.words["check first"]
    )
    assert "check first" not in at("http://127.0.0.1:9/x").words


def test_a_level_that_measures_fewer_than_it_keeps_in_flight_is_named() -> None:
    assert "100,000 in flight with 200 measured requests" in plan(concurrency=[8, 100_000]).words["check first"]
    assert plan(concurrency=[8], max_requests=8).warnings == ()

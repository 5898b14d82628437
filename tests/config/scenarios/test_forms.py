from __future__ import annotations

import statistics
from random import Random

import pytest

from basetenkit.config.scenarios import Shape, Uniform, parse_scenario
from basetenkit.core.errors import ScenarioError

from ...making import number


def test_half_a_least_is_refused() -> None:
    with pytest.raises(ScenarioError, match="both input_min and output_min"):
        Uniform(input_max=5, output_max=5, input_min=1)


def test_a_constant_is_constant() -> None:
    assert {parse_scenario("D(7,9)").sample(Random(i)) for i in range(20)} == {Shape(7, 9)}


def test_normal_lengths_have_their_mean_and_spread() -> None:
    rng, scenario = Random(1), parse_scenario("N(480,24)/(300,0)")
    shapes = [scenario.sample(rng) for _ in range(4000)]
    lengths = [number(s.input_tokens) for s in shapes]
    # Four standard errors of a mean and of a spread over 4,000.
    assert abs(statistics.mean(lengths) - 480) < 4 * 24 / 4000**0.5
    assert abs(statistics.stdev(lengths) - 24) < 4 * 24 / 8000**0.5
    assert {s.output_tokens for s in shapes} == {300}


def test_normal_lengths_are_never_below_one() -> None:
    rng, scenario = Random(1), parse_scenario("N(1,50)/(1,50)")
    shapes = [scenario.sample(rng) for _ in range(500)]
    assert min(number(s.input_tokens) for s in shapes) == 1
    assert min(number(s.output_tokens) for s in shapes) == 1


@pytest.mark.parametrize(
    ("text", "inputs", "outputs"),
    [("U(3,5)/(7,8)", {3, 4, 5}, {7, 8}), ("U(3,2)", {1, 2, 3}, {1, 2}), ("U(0,2)/(0,1)", {1, 2}, {1})],
)
def test_uniform_lengths_reach_both_ends_and_no_further(text: str, inputs: set[int], outputs: set[int]) -> None:
    rng, scenario = Random(1), parse_scenario(text)
    shapes = [scenario.sample(rng) for _ in range(500)]
    assert {s.input_tokens for s in shapes} == inputs
    assert {s.output_tokens for s in shapes} == outputs


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("E(256)", Shape(256)),
        ("E(256,8)", Shape(256, inputs=8)),
        ("dataset(3)", Shape(None, inputs=3)),
        ("I(512,256)", Shape(None, None, 1, 512, 256)),
        ("I(512,256,3)", Shape(None, None, 3, 512, 256)),
        ("ID(512,256,100,50)", Shape(100, 50, 1, 512, 256)),
        ("P(300,20)/5", Shape(320, 5, prefix_tokens=300)),
        ("IP(512,256,300,20)/5", Shape(320, 5, 1, 512, 256, prefix_tokens=300)),
        ("dataset", Shape(None)),
    ],
)
def test_what_a_scenario_does_not_say_is_none(text: str, shape: Shape) -> None:
    assert parse_scenario(text).sample(Random(0)) == shape


@pytest.mark.parametrize(
    "text",
    [
        "D(100,20)", "U(50,100)/(200,250)", "U(7,9)", "N(480,240)/(300,150)", "N(3,5)/(1,0)", "P(20,5)/7", "ID(8,8,30,4)",
        "0.7*D(100,50)+0.3*P(1000,20)/50", "E(16)",
    ],
)  # fmt: skip
def test_the_mean_lengths_are_those_of_what_is_drawn(text: str) -> None:
    scenario = parse_scenario(text)
    shapes = [scenario.sample(Random(i)) for i in range(4000)]
    for mean, drawn in zip(
        scenario.mean_lengths(), ([s.input_tokens for s in shapes], [s.output_tokens for s in shapes]), strict=True
    ):
        if mean is None:
            assert set(drawn) == {None}
            continue
        known = [float(x) for x in drawn if x is not None]
        spread = (sum((x - mean) ** 2 for x in known) / len(known)) ** 0.5
        assert abs(sum(known) / len(known) - mean) <= 5 * spread / len(known) ** 0.5 + 1e-9

from __future__ import annotations

import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basetenkit.errors import ScenarioError
from basetenkit.scenario import FORMS, Scenario, Shape, Uniform, parse_scenario

NUMBER = st.integers(1, 999_999_999)
EVERY_FORM = [
    ("D(100,100)", True, True),
    ("N(480,240)/(300,150)", True, True),
    ("U(50,100)/(200,250)", True, True),
    ("U(0,100)/(0,250)", True, True),
    ("U(100,250)", True, True),
    ("E(256)", True, False),
    ("R(1024,100)", False, False),
    ("A(400)", False, False),
    ("I(512,512)", True, False),
    ("I(1024,512,3)", True, False),
    ("P(2000,500)/200", False, True),
    ("ID(512,512,100,100)", True, True),
    ("IP(512,512,2000,500)/200", False, True),
    ("RD", False, False),
    ("RD(200)", False, True),
    ("RDC", False, False),
    ("RDC(200)", False, True),
    ("dataset", True, False),
]


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    kind = draw(st.sampled_from(sorted(FORMS)))
    names = draw(st.sampled_from(list(FORMS[kind].forms.values())))
    numbers = {name: draw(NUMBER) for name in names}
    if "input_min" in numbers:
        for what in ("input", "output"):
            low, high = sorted((numbers[f"{what}_min"], numbers[f"{what}_max"]))
            numbers |= {f"{what}_min": low, f"{what}_max": high}
    return FORMS[kind](**numbers)


def read(text: str) -> Scenario | ScenarioError:
    try:
        return parse_scenario(text)
    except ScenarioError as error:
        return error


@given(scenarios())
def test_the_text_of_any_scenario_reads_back_as_an_equal_one(scenario: Scenario) -> None:
    again = parse_scenario(str(scenario))
    assert again == scenario
    assert type(again) is type(scenario)
    assert str(again) == str(scenario)


@given(st.text(alphabet="DNUEIPRCA()/,0123456789 dataset", max_size=24))
def test_any_text_is_read_or_refused_in_one_sentence(text: str) -> None:
    result = read(text)
    if isinstance(result, ScenarioError):
        assert str(result).startswith("scenario ")
        assert "\n" not in str(result)
    else:
        assert parse_scenario(str(result)) == result


@pytest.mark.parametrize(("text", "sampled", "fixed"), EVERY_FORM)
def test_every_form_is_read_and_printed_as_it_was_written(text: str, sampled: bool, fixed: bool) -> None:
    scenario = parse_scenario(text)
    assert str(scenario) == text
    assert scenario.sampled is sampled
    assert scenario.fixed_output is fixed
    assert scenario.tasks


@pytest.mark.parametrize("kind", FORMS.values())
def test_the_example_of_each_form_is_right(kind: type[Scenario]) -> None:
    assert type(parse_scenario(kind.example)) is kind
    assert str(parse_scenario(kind.example)) == kind.example


def test_spaces_and_leading_zeros_do_not_matter() -> None:
    assert str(parse_scenario(" N( 480, 0240 ) / (300,150)\n")) == "N(480,240)/(300,150)"


def test_a_scenario_is_its_own_reading() -> None:
    scenario = parse_scenario("D(1,2)")
    assert parse_scenario(scenario) is scenario


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("N(480)", 'scenario "N(480)": N needs (mean,sd)/(mean,sd), e.g. N(480,240)/(300,150)'),
        ("D(100)", 'scenario "D(100)": D needs (in,out), e.g. D(100,100)'),
        ("D(-1,5)", 'scenario "D(-1,5)": D needs (in,out), e.g. D(100,100)'),
        ("D(1.5,5)", 'scenario "D(1.5,5)": D needs (in,out), e.g. D(100,100)'),
        ("D(१,5)", 'scenario "D(१,5)": D needs (in,out), e.g. D(100,100)'),
        ("D(1,5)x", 'scenario "D(1,5)x": D needs (in,out), e.g. D(100,100)'),
        ("U(1,2)/3", 'scenario "U(1,2)/3": U needs (min,max)/(min,max) or (max,max), e.g. U(50,100)/(200,250)'),
        ("RD(", 'scenario "RD(": RD needs (out) or nothing more, e.g. RD(200)'),
        ("D(0,5)", 'scenario "D(0,5)": input tokens is 0, and must be at least 1'),
        ("N(10,1)/(0,0)", 'scenario "N(10,1)/(0,0)": output mean is 0, and must be at least 1'),
        ("U(9,5)/(1,2)", 'scenario "U(9,5)/(1,2)": the least comes first, so (5,9) in place of (9,5)'),
    ],
)
def test_an_error_says_what_would_be_right(text: str, sentence: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("text", ["X(1,2)", "", "(1,2)", "d(1,2)", "Dataset", "datasets"])
def test_an_unknown_form_is_told_all_forms(text: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text)
    for kind in FORMS.values():
        assert kind.letters + next(iter(kind.forms)) in str(caught.value)


def test_half_a_least_is_refused() -> None:
    with pytest.raises(ScenarioError, match="both input_min and output_min"):
        Uniform(input_max=5, output_max=5, input_min=1)


def test_a_constant_is_constant() -> None:
    assert {parse_scenario("D(7,9)").sample(Random(i)) for i in range(20)} == {Shape(7, 9)}


def test_normal_lengths_have_their_mean_and_spread() -> None:
    rng, scenario = Random(1), parse_scenario("N(480,24)/(300,0)")
    shapes = [scenario.sample(rng) for _ in range(4000)]
    lengths = [s.input_tokens for s in shapes]
    # Four standard errors of a mean and of a spread over 4,000.
    assert abs(statistics.mean(lengths) - 480) < 4 * 24 / 4000**0.5
    assert abs(statistics.stdev(lengths) - 24) < 4 * 24 / 8000**0.5
    assert {s.output_tokens for s in shapes} == {300}


def test_normal_lengths_are_never_below_one() -> None:
    rng, scenario = Random(1), parse_scenario("N(1,50)/(1,50)")
    shapes = [scenario.sample(rng) for _ in range(500)]
    assert min(s.input_tokens for s in shapes) == 1
    assert min(s.output_tokens for s in shapes) == 1


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
        ("I(512,256)", Shape(None, None, 1, 512, 256)),
        ("I(512,256,3)", Shape(None, None, 3, 512, 256)),
        ("ID(512,256,100,50)", Shape(100, 50, 1, 512, 256)),
        ("dataset", Shape(None)),
    ],
)
def test_what_a_scenario_does_not_say_is_none(text: str, shape: Shape) -> None:
    assert parse_scenario(text).sample(Random(0)) == shape


@pytest.mark.parametrize("text", [text for text, sampled, _ in EVERY_FORM if not sampled])
def test_what_cannot_be_sampled_says_so(text: str) -> None:
    with pytest.raises(
        ScenarioError, match=r"requests cannot be made for .* yet; they can for D, N, U, E, I, ID and dataset"
    ):
        parse_scenario(text).sample(Random(0))

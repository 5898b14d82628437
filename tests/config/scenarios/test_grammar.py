from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basetenkit.config.scenarios import FORMS, Mixture, Scenario, parse_scenario
from basetenkit.core.errors import ScenarioError

NUMBER = st.integers(1, 999_999_999)
EVERY_FORM = [
    ("D(100,100)", True, True),
    ("N(480,240)/(300,150)", True, True),
    ("U(50,100)/(200,250)", True, True),
    ("U(0,100)/(0,250)", True, True),
    ("U(100,250)", True, True),
    ("E(256)", True, False),
    ("E(256,8)", True, False),
    ("dataset(8)", True, False),
    ("R(1024,100)", False, False),
    ("A(400)", False, False),
    ("I(512,512)", True, False),
    ("I(1024,512,3)", True, False),
    ("P(2000,500)/200", True, True),
    ("ID(512,512,100,100)", True, True),
    ("IP(512,512,2000,500)/200", True, True),
    ("RD", True, False),
    ("RD(200)", True, True),
    ("RDC", True, False),
    ("RDC(200)", True, True),
    ("dataset", True, False),
]


@st.composite
def scenarios(draw: st.DrawFn, kind: str | None = None) -> Scenario:
    kind = kind or draw(st.sampled_from(sorted(FORMS)))
    names = draw(st.sampled_from(list(FORMS[kind].forms.values())))
    numbers = {name: draw(NUMBER) for name in names}
    if "input_min" in numbers:
        for what in ("input", "output"):
            low, high = sorted((numbers[f"{what}_min"], numbers[f"{what}_max"]))
            numbers |= {f"{what}_min": low, f"{what}_max": high}
    return FORMS[kind](**numbers)


@st.composite
def mixtures(draw: st.DrawFn) -> Mixture:
    kinds = {"text": ["D", "N", "U", "P"], "embeddings": ["E"], "images": ["I"], "images with text": ["ID", "IP"]}
    able = st.sampled_from(kinds[draw(st.sampled_from(sorted(kinds)))])
    weights = st.decimals("0.000001", "999999.999999", places=6)
    parts = [(draw(weights), draw(scenarios(draw(able)))) for _ in range(draw(st.integers(2, 4)))]
    return Mixture(tuple(parts))


def read(text: str) -> Scenario | ScenarioError:
    try:
        return parse_scenario(text)
    except ScenarioError as error:
        return error


@given(scenarios() | mixtures())
def test_the_text_of_any_scenario_reads_back_as_an_equal_one(scenario: Scenario) -> None:
    again = parse_scenario(str(scenario))
    assert again == scenario
    assert type(again) is type(scenario)
    assert str(again) == str(scenario)


@given(st.text(alphabet="DNUEIPRCA()/,0123456789 dataset*+.", max_size=24))
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
        ("D(0,5)", 'scenario "D(0,5)": input tokens is 0, but must be at least 1'),
        ("N(10,1)/(0,0)", 'scenario "N(10,1)/(0,0)": output mean is 0, but must be at least 1'),
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


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0.7*D(1,1)+.3*D(1,1)", None),
        ("0.70*D(100, 50) + 0.3 * P(1000,20)/50", "0.7*D(100,50)+0.3*P(1000,20)/50"),
        ("7*D(1,2)+030*N(5,1)/(2,0)+1.0*U(3,4)", "7*D(1,2)+30*N(5,1)/(2,0)+1*U(3,4)"),
        ("0.5*D(1,2)+0.5*D(1,2)", "0.5*D(1,2)+0.5*D(1,2)"),
    ],
)
def test_a_mixture_prints_its_weights_shortest(text: str, canonical: str | None) -> None:
    result = read(text)
    assert (None if isinstance(result, ScenarioError) else str(result)) == canonical


def test_a_mixture_is_for_the_tasks_that_its_forms_have_in_common() -> None:
    assert parse_scenario("1*D(1,1)+2*P(3,4)/5").tasks == ("text-to-text",)
    assert parse_scenario("1*E(1)+2*E(300)").tasks == ("text-to-embeddings",)
    assert parse_scenario("1*I(8,8)+2*I(16,16,2)").fixed_output is False
    assert parse_scenario("1*ID(8,8,5,5)+2*IP(8,8,5,5)/5").fixed_output is True


def test_requests_are_of_each_form_as_often_as_its_weight_says() -> None:
    scenario, rng, n = parse_scenario("6*D(1,1)+3*D(2,2)+1*D(3,3)"), Random(5), 5000
    seen = Counter(scenario.sample(rng).input_tokens for _ in range(n))
    for tokens, share in ((1, 0.6), (2, 0.3), (3, 0.1)):
        assert abs(seen[tokens] / n - share) < 4 * (share * (1 - share) / n) ** 0.5


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("1*D(1,1)", "a mixture needs two forms or more: weight*form+weight*form, e.g. "),
        ("D(1,1)+2*D(2,2)", '"D(1,1)" is not weight*form'),
        ("1*D(1,1)+", '"" is not weight*form'),
        ("-1*D(1,1)+2*D(2,2)", '"-1*D(1,1)" is not weight*form'),
        ("1e3*D(1,1)+2*D(2,2)", '"1e3*D(1,1)" is not weight*form'),
        ("1*D(1)+2*D(2,2)", 'scenario "D(1)": D needs (in,out)'),
        ("0*D(1,1)+1*D(1,2)", "the weight of D(1,1) is 0, but must be above 0"),
        ("1*D(1,1)+1*E(2)", "no task in common: D(1,1) is for text-to-text; E(2) is for text-to-embeddings"),
        ("1*I(8,8)+1*ID(8,8,5,5)", "some of its forms set the output length and some do not"),
        ("1*dataset+1*D(1,1)", "dataset cannot be mixed"),
        ("1*RD(5)+1*D(1,1)", "RD(5) cannot be mixed"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused_with_what_is_wrong(text: str, wrong: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text)
    assert wrong in str(caught.value)
    assert str(caught.value).startswith("scenario ")


def test_a_mixture_of_nothing_or_of_mixtures_is_refused() -> None:
    with pytest.raises(ScenarioError, match="two forms or more"):
        Mixture(())
    mixed = parse_scenario("1*D(1,1)+1*D(2,2)")
    with pytest.raises(ScenarioError, match="cannot be mixed"):
        Mixture(((Decimal(1), mixed), (Decimal(1), mixed)))

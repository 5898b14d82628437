from __future__ import annotations

from random import Random

import pytest

from basetenkit.config.scenarios import FORMS, Mixture, Scenario, Shape, parse_scenario
from basetenkit.core.errors import ScenarioError


def test_a_form_is_itself_its_only_part_and_a_mixture_has_several() -> None:
    for kind in FORMS.values():
        scenario = parse_scenario(kind.example)
        assert scenario.parts == (scenario,)
    assert [str(part) for part in parse_scenario(Mixture.example).parts] == ["D(100,50)", "P(1000,20)/50"]


def test_a_shape_says_nothing_that_it_was_not_told() -> None:
    assert Shape(5) == Shape(5, None, 0, 0, 0, 0)


def test_whether_a_form_can_be_sampled_is_what_it_does() -> None:
    def sampled(kind: type[Scenario]) -> bool:
        try:
            return bool(parse_scenario(kind.example).sample(Random(0)))
        except ScenarioError:
            return False

    assert {letters for letters, kind in FORMS.items() if sampled(kind)} == {
        letters for letters, kind in FORMS.items() if kind.sampled
    }


@pytest.mark.parametrize("text", ["R(64,10)", "A(40)"])
def test_what_cannot_be_sampled_says_so(text: str) -> None:
    with pytest.raises(
        ScenarioError,
        match=r"is not supported in runs yet; supported: D, N, U, E, I, P, ID, IP, RD, RDC and dataset",
    ):
        parse_scenario(text).sample(Random(0))


def test_which_forms_take_from_a_data_set_and_which_need_one() -> None:
    scenarios = [parse_scenario(kind.example) for kind in FORMS.values()]
    assert [s.letters for s in scenarios if s.needs_data] == ["RD", "RDC", "dataset"]
    assert [s.letters for s in scenarios if s.takes_data] == ["D", "N", "U", "E", "P", "RD", "RDC", "dataset"]
    assert parse_scenario(Mixture.example).takes_data
    assert not parse_scenario("1*ID(8,8,5,5)+1*IP(8,8,5,5)/5").takes_data


@pytest.mark.parametrize(
    ("text", "many"),
    [("E(16)", "E(16,8)"), ("dataset", "dataset(8)"), ("2*E(16)+1*E(4)", "2*E(16,8)+1*E(4,8)")],
)
def test_a_batch_size_can_stand_in_the_text_and_be_left_out_again(text: str, many: str) -> None:
    plain = parse_scenario(text)
    batched = plain.in_batches(8)
    assert (str(batched), batched.batched, plain.batched) == (many, True, False)
    assert parse_scenario(many) == batched
    assert batched.in_batches(None) == plain


@pytest.mark.parametrize("text", ["D(5,5)", "1*D(5,5)+1*U(5,5)"])
def test_a_form_without_a_place_for_a_batch_size_says_so(text: str) -> None:
    with pytest.raises(ScenarioError, match=r'scenario "D\(5,5\)": D has one input per request, and no batch size'):
        parse_scenario(text).in_batches(2)

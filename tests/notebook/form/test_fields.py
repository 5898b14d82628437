from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field, SecretStr

import basetenkit as bk
from basetenkit.notebook.form.fields import FieldRow, KeyInput, as_text


class Sample(BaseModel):
    colour: Literal["red", "blue"] = "blue"
    on: bool = True
    path: bool | str = True
    key: SecretStr | None = None
    sizes: list[int] = Field(default_factory=lambda: [1, 8])
    extra: dict[str, int] = Field(default_factory=dict, description="more of it")
    limit: int | None = None
    name: str = "x"


def row(name: str) -> FieldRow:
    return FieldRow(name, Sample.model_fields[name])


def test_every_field_of_the_models_has_an_input_that_gives_its_default() -> None:
    for name, info in bk.RunConfig.model_fields.items():
        if name != "endpoint":
            made = FieldRow(name, info)
            assert f"bk-field-{name}" in made._dom_classes
            if not isinstance(made.given(), str | list):
                assert made.given() == made.default


@pytest.mark.parametrize(
    ("name", "typed", "given"),
    [
        ("sizes", "1, 2", ["1", "2"]),
        ("sizes", "D(100,100), N(4,2)/(3,1)", ["D(100,100)", "N(4,2)/(3,1)"]),
        ("sizes", "", []),
        ("sizes", "[1, 2]", "[1, 2]"),
        ("extra", "", {}),
        ("extra", '{"a": 1}', '{"a": 1}'),
        ("limit", " ", None),
        ("limit", "5", "5"),
        ("name", "", ""),
        ("path", "False", False),
        ("path", "ca.pem", "ca.pem"),
        ("colour", "red", "red"),
        ("on", False, False),
    ],
)
def test_what_is_typed_becomes_what_the_model_is_to_validate(name: str, typed: object, given: object) -> None:
    made = row(name)
    made.input.value = typed
    assert made.given() == given


def test_a_key_is_taken_and_the_input_emptied_and_its_value_is_never_echoed() -> None:
    made = row("key")
    made.input.value = "sk-12345678"
    made.take_secret()
    assert made.input.value == ""
    given = made.given()
    assert isinstance(given, SecretStr)
    assert given.get_secret_value() == "sk-12345678"
    assert "sk-12345678" not in repr(made.input.get_state())
    assert KeyInput().trait_metadata("value", "echo_update") is False


def test_a_sentence_is_text_and_never_markup() -> None:
    made = row("name")
    made.say("<b>wrong</b>")
    assert "&lt;b&gt;wrong" in made.sentence.value
    made.say("")
    assert 'role="note"' in made.sentence.value


def test_values_are_shown_as_they_are_typed() -> None:
    assert [as_text(x) for x in (None, {}, [1, 8], {"a": 1}, 2.5)] == ["", "", "1, 8", '{"a": 1}', "2.5"]

"""The form speaks to a person, and each example of its help can be typed as it is shown."""

from __future__ import annotations

import re

import pytest

import basetenkit as bk
from basetenkit.notebook.form.words import LABELS, for_people, label, unquoted

FIELDS = {n: i for n, i in {**bk.Endpoint.model_fields, **bk.RunConfig.model_fields}.items() if n != "endpoint"}
EXAMPLES = [
    (name, example.strip())
    for name, info in FIELDS.items()
    for text in re.findall(r"e\.g\. ([^;]+)", info.description or "")
    for example in text.split(" or ")
]


def test_no_label_or_help_has_a_word_of_python() -> None:
    form = bk.RunForm()
    for name, row in form.rows.items():
        assert not re.search("_|None", row.input.description), name
        assert not re.search(r"\bNone\b|\bFalse (sends|is)", row.sentence.value), name


def test_every_label_is_of_a_field_and_no_two_are_alike() -> None:
    assert set(LABELS) <= set(FIELDS)
    labels = [label(name) for name in FIELDS]
    assert len(set(labels)) == len(labels)


def test_none_is_an_empty_field() -> None:
    assert for_people("timeout in seconds, or None") == "timeout in seconds; may be left empty"
    assert for_people("stop a level; None: do not stop") == "stop a level; empty: do not stop"
    assert for_people("Nonesuch") == "Nonesuch"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [(" 'prompt' ", "prompt"), ('"a.b.0.c"', "a.b.0.c"), ("'a' and 'b'", "'a' and 'b'"), ("it's", "it's"), ("'", "'")],
)
def test_quotation_marks_around_the_whole_are_left_out(typed: str, meant: str) -> None:
    assert unquoted(typed) == meant


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 20


@pytest.mark.parametrize(("name", "example"), EXAMPLES)
def test_each_example_of_a_help_text_can_be_typed_as_it_is_shown(name: str, example: str) -> None:
    form = bk.RunForm()
    form.rows["url"].input.value = "http://127.0.0.1:9/v1/chat/completions"
    if name == "batch_size":
        form.rows["task"].input.value, form.rows["scenarios"].input.value = "text-to-embeddings", "E(128)"
    form.rows[name].input.value = example
    assert 'role="note"' in form.rows[name].sentence.value
    if name != "url":  # Baseten's asks for a key
        assert form.config

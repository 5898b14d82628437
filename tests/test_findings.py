from __future__ import annotations

import re
import string

import pytest

from basetenkit.findings import NOTES, RUN_FINDINGS, Finding, finding, note


def fields(*templates: str) -> dict[str, object]:
    return {name: 1.0 for t in templates for _, name, _, _ in string.Formatter().parse(t) if name}


@pytest.mark.parametrize("code", RUN_FINDINGS)
def test_every_finding_is_a_sentence_with_its_names_filled_in(code: str) -> None:
    found = finding(code, **fields(*RUN_FINDINGS[code]))
    assert found.code == code
    assert not re.search(r"[{}]", str(found))
    assert found.sentence[0].isupper() or found.sentence.startswith("1.0")


@pytest.mark.parametrize("code", NOTES)
def test_every_note_begins_with_its_code(code: str) -> None:
    assert note(code, **fields(NOTES[code])).startswith(f"{code}: ")


def test_an_unknown_code_is_an_error() -> None:
    with pytest.raises(KeyError):
        finding("no_such")
    assert str(Finding("a", "b.", "c.")) == "a: b. c."

"""Notes: a code and figures, in words when they are shown."""

from __future__ import annotations

import re
import string

import pytest

from basetenkit.core.notes import NOTES, note


@pytest.mark.parametrize("code", NOTES)
def test_every_note_begins_with_its_code(code: str) -> None:
    found = note(code, **fields(NOTES[code]))
    assert str(found) == f"{code}: {found.sentence}"
    assert not re.search(r"[{}]", str(found))


def fields(template: str) -> dict[str, object]:
    return {name: 1.0 for _, name, _, _ in string.Formatter().parse(template) if name}


def test_an_unknown_code_is_an_error() -> None:
    with pytest.raises(KeyError):
        note("no_such")


def test_a_count_above_the_limit_says_whether_it_was_used() -> None:
    said = {counted: str(note("over_max_tokens", value=60, limit=20, counted=counted)) for counted in (None, 61)}
    assert said[None].endswith("; not used")
    assert said[61].endswith("; used, because the text counts 61")

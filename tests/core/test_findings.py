from __future__ import annotations

import json
import re
import string

import pytest

from basetenkit.core.findings import RUN_FINDINGS, Finding, finding
from basetenkit.core.reasons import Stop, StopReason


def fields(*templates: str) -> dict[str, object]:
    return {name: 1.0 for t in templates for _, name, _, _ in string.Formatter().parse(t) if name}


@pytest.mark.parametrize("code", RUN_FINDINGS)
def test_every_finding_is_a_sentence_with_its_names_filled_in(code: str) -> None:
    found = finding(code, "D(1,1) at concurrency 1", **fields(*RUN_FINDINGS[code]))
    assert found.code == code
    assert not re.search(r"[{}]", str(found))
    assert found.sentence.startswith("D(1,1) at concurrency 1: ")
    assert f"D(1,1) at concurrency 1: {finding(code, **found.fields).sentence}" == found.sentence
    assert Finding.of(json.loads(json.dumps(found.saved()))) == found


def test_an_unknown_code_is_an_error() -> None:
    with pytest.raises(KeyError):
        finding("no_such")


def test_fields_stay_data_and_become_words_when_it_is_shown() -> None:
    why = Stop(StopReason.TIME, {"seconds": 9.0})
    found = finding("unfinished", "here", n=3, planned=9, cut=1, unsent=2, why=why.saved())
    assert found.fields["why"] == {"reason": "time", "seconds": 9.0}
    assert f"{why}." in found.sentence
    failed = finding("some_failed", "here", failed=3, sent=9, outcomes={"timeout": 2, "empty": 1}, message="m")
    assert "(2 timeout, 1 empty)" in failed.sentence
    assert str(failed) == f"some_failed: {failed.sentence}. {failed.cure}"
    assert failed.sentence in repr(failed)
    assert {failed} == {failed}

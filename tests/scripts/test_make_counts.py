from __future__ import annotations

import pytest

from basetenkit.workload import corpus
from scripts.make_counts import made


@pytest.mark.thorough
def test_the_counts_that_ship_are_those_that_would_be_made() -> None:
    added, alone = corpus.counts()
    assert added + alone == made()
    assert len(alone) == len(corpus.words())

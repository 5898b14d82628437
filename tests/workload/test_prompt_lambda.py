"""The cure for a `prompt_lambda` works in the description that contains it."""

from __future__ import annotations

from typing import Any

import pytest

from basetenkit.core.errors import DataError
from basetenkit.workload.datasets import load
from basetenkit.workload.prompt_lambda import in_place_of

from ..making import config

SOURCE = {"source": {"type": "file", "path": "x.csv"}}


@pytest.mark.parametrize(
    ("code", "column"),
    [
        ("lambda item: f\"Q: {item['q']}? {item['b']}\"", "pl.format('Q: {}? {}', pl.col('q'), pl.col('b'))"),
        ("lambda x: 'Describe'", "pl.lit('Describe')"),
        ("lambda x: x['q'].upper()", "pl.format('... {}', pl.col('...'))"),
        ("import os", "pl.format('... {}', pl.col('...'))"),
    ],
)
def test_code_is_refused_with_the_column_in_its_place(code: str, column: str) -> None:
    with pytest.raises(DataError, match="is code and is not run") as caught:
        load(config(dataset=SOURCE | {"prompt_lambda": code}, scenarios="dataset"))
    assert str(caught.value).endswith(f"dataset=frame.select(prompt={column})")
    with_images = in_place_of(code, {"image_column": "image"})
    assert f"prompt={column}" in with_images
    assert "image_column='image'" in with_images
    assert "frame.select" not in with_images, "a frame has no image_column"


@pytest.mark.parametrize("given", [{}, {"image_column": "image"}])
def test_a_lambda_that_takes_a_column_is_that_column(given: dict[str, Any]) -> None:
    sentence = in_place_of("lambda x: x['q']", given)
    assert "give prompt_column='q' in its place" in sentence
    assert ("image_column" in sentence) is bool(given)

"""Images against Baseten's own model server, with a model that decodes what it receives and says what it saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

import basetenkit as bk

pytestmark = pytest.mark.real
COLOURS = {"red": (220, 20, 30), "green": (10, 160, 40), "blue": (30, 40, 200)}
NEAR = 12  # JPEG keeps a plain colour to within a few steps of 255


def ask(url: str, **kw: Any) -> pl.DataFrame:
    endpoint = bk.Endpoint(url=url, model="m", stream=kw.pop("stream", True))
    fields: dict[str, Any] = {"task": "image-text-to-text", "concurrency": 2, "max_requests": 6}
    rows = bk.run_sync(bk.RunConfig(steady=False, preflight=False, endpoint=endpoint, **(fields | kw))).requests
    assert (rows["outcome"] == "ok").all(), rows["error_message"].to_list()
    return rows


def seen(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What the server reports to have decoded, image by image."""
    return [json.loads(line) for line in row["text"].splitlines()]


@pytest.mark.baseten("image content")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("scenario", "size", "count"), [("I(96,64)", (96, 64), 1), ("I(40,56,3)", (40, 56), 3)])
def test_made_images_are_decoded_as_the_row_says(
    truss_url: str, scenario: str, size: tuple[int, int], count: int, stream: bool
) -> None:
    rows = ask(truss_url, scenarios=scenario, stream=stream)
    for row in rows.to_dicts():
        images = seen(row)
        assert {image["format"] for image in images} == {"JPEG"}
        assert [(image["width"], image["height"]) for image in images] == [size] * count
        assert row["image_count"] == count
        assert row["image_pixels"] == sum(image["width"] * image["height"] for image in images)
        assert row["image_bytes"] == sum(image["bytes"] for image in images)
        assert (row["ttft_s"] is not None) == stream


def test_an_image_goes_with_a_text_of_its_own_length(truss_url: str) -> None:
    rows = ask(truss_url, scenarios="ID(128,72,50,7)")
    for row in rows.to_dicts():
        (image,) = seen(row)
        assert (image["width"], image["height"]) == (128, 72)
        assert (row["image_pixels"], row["image_bytes"]) == (128 * 72, image["bytes"])
        assert row["input_tokens_target"] == 50
    assert rows["image_bytes"].n_unique() > 1  # no two images are alike


@pytest.mark.baseten("image content")
def test_the_images_of_a_folder_come_with_their_own_sizes_and_colours(truss_url: str, tmp_path: Path) -> None:
    plain = {(40 + 8 * i, 24): colour for i, colour in enumerate(COLOURS.values())}
    for i, (size, colour) in enumerate(plain.items()):
        picture = Image.new("RGB", size, colour)
        picture.paste((255, 255, 255), (0, 0, size[0] // 4, size[1]))  # the colour that most of it has is not all of it
        picture.save(tmp_path / f"{i}.png")
    rows = ask(truss_url, dataset=str(tmp_path), max_requests=9)
    answered = [seen(row)[0] for row in rows.to_dicts()]
    assert {(image["width"], image["height"]) for image in answered} == plain.keys()
    for row, image in zip(rows.to_dicts(), answered, strict=True):
        wanted = plain[image["width"], image["height"]]
        assert all(abs(a - b) <= NEAR for a, b in zip(image["colour"], wanted, strict=True)), image
        assert (row["image_bytes"], row["image_pixels"]) == (image["bytes"], image["width"] * image["height"])

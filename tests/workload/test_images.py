"""Images are made to size, each new, by the seed; files are read whole, and what cannot be read is told in a sentence."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from basetenkit.core.errors import DataError, ScenarioError
from basetenkit.workload import images

START = "data:image/jpeg;base64,"


def decoded(picture: images.Picture) -> Image.Image:
    assert picture.url.startswith(START)
    data = base64.b64decode(picture.url.removeprefix(START), validate=True)
    assert len(data) == picture.size_bytes
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize(("width", "height"), [(512, 512), (100, 37), (1, 1), (8, 640)])
def test_an_image_has_the_size_asked_for(width: int, height: int) -> None:
    picture = images.make(width, height, Random(1))
    image = decoded(picture)
    assert (image.format, image.mode, image.size, picture.pixels) == ("JPEG", "RGB", (width, height), width * height)


def test_the_seed_says_which_images_and_no_two_are_alike() -> None:
    def of(seed: int) -> list[str]:
        rng = Random(seed)
        return [images.make(64, 64, rng).url for _ in range(20)]

    assert of(1) == of(1)
    assert len({*of(1), *of(2)}) == 40


def test_a_jpeg_is_sent_byte_for_byte_and_other_images_become_one(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), "red").save(tmp_path / "a.jpg")
    Image.new("RGBA", (31, 21), (0, 255, 0, 128)).save(tmp_path / "b.png")
    (tmp_path / "notes.txt").write_text("no image")
    paths = images.paths_in(tmp_path)
    assert [p.name for p in paths] == ["a.jpg", "b.png"]
    first, second = images.read_all(paths)
    assert base64.b64decode(first.url.removeprefix(START)) == (tmp_path / "a.jpg").read_bytes()
    assert decoded(second).size == (31, 21)
    assert (first.pixels, second.pixels) == (600, 651)


def test_an_image_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), "red").save(tmp_path / "cut.jpg")
    whole = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("hello")
    for name in ("cut.jpg", "text.png"):
        with pytest.raises(DataError, match=rf"dataset: '.*{name}' is not a readable image \(.+\); fix it") as caught:
            images.read_image(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"dataset: there is no image '.*gone\.png'"):
        images.read_image(tmp_path / "gone.png")


def test_a_folder_without_images_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no images; their names end in \.bmp, \.gif, \.jpeg"):
        images.paths_in(tmp_path)


@pytest.mark.parametrize(("width", "height", "count"), [(70_000, 1, 1), (8_000, 8_001, 1), (4_000, 4_000, 5)])
def test_sizes_that_cannot_be_made_are_refused(width: int, height: int, count: int) -> None:
    with pytest.raises(ScenarioError, match="65500 pixels a side and 64000000 together"):
        images.check_size("I", width, height, count)

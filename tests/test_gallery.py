"""The gallery: each picture shows something and stays small, and the page describes every chart."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from basetenkit.reporting import charts
from docs.generate.gallery import FOLDER, GALLERY, page


def test_the_page_is_what_the_script_writes_and_names_every_chart() -> None:
    text = (FOLDER / "gallery.md").read_text()
    assert text == page(), "run `python -m docs.generate.gallery`"
    assert re.findall(r"^## (\w+)$", text, re.M) == list(GALLERY)
    assert sorted(GALLERY) == sorted(charts.__all__)


@pytest.mark.parametrize("name", GALLERY)
def test_a_picture_is_there_and_a_new_one_is_not_blank(name: str, tmp_path: Path) -> None:
    from basetenkit.reporting.altair_renderer import picture

    kept = (FOLDER / "gallery" / f"{name}.png").read_bytes()
    for png in (kept, picture(GALLERY[name][0]().to_dict())[0]):
        assert len(png) < 60_000
        image = Image.open(io.BytesIO(png)).convert("RGB")
        pixels = np.asarray(image)
        assert (pixels.max(axis=2) - pixels.min(axis=2) > 40).sum() > 300  # pixels that are coloured
        assert min(image.size) > 100

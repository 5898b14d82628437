"""The images of requests: JPEG in a data URL, made to a size or read from files.

Generated images are a grid of random colours, one for each block of 8 x 8 pixels, with smooth transitions. Each is different,
so that no image cache contains one. It was not measured whether they have as many bytes as photographs: if the size of the
upload matters, use image files. JPEG files are sent unchanged. Other files are converted to JPEG once, when the data set is
read, not during a level.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from ..core.errors import DataError, ScenarioError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
MAX_SIDE, MAX_PIXELS = 65_500, 64_000_000  # JPEG's own limit; and what can be made between two reads of a socket
MAX_BYTES = 1 << 30  # a data set's images are held in memory, in each process
QUALITY, BLOCK = 85, 8
_CURE = "fix it or remove it"


@dataclass(frozen=True, slots=True)
class Picture:
    """One image: its data URL, the bytes of the JPEG in it (before base64), its pixels (width times height)."""

    url: str
    size_bytes: int
    pixels: int


def check_size(scenario: str, width: int, height: int, count: int) -> None:
    """ScenarioError if such images cannot be made."""
    if max(width, height) > MAX_SIDE or width * height * count > MAX_PIXELS:
        raise ScenarioError(
            f'scenario "{scenario}": the images of a request may have {MAX_SIDE} pixels a side and {MAX_PIXELS} together'
        )


def make(width: int, height: int, rng: Random) -> Picture:
    """A new image of that size in pixels; the same `rng` gives the same bytes."""
    from PIL import Image

    across, down = -(-width // BLOCK), -(-height // BLOCK)
    grid = Image.frombytes("RGB", (across, down), rng.randbytes(3 * across * down))
    return _picture(_jpeg(grid.resize((width, height), Image.Resampling.BILINEAR)), width * height)


def read_image(path: Path) -> Picture:
    """The image in a file. DataError, one sentence, if it cannot be read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"dataset: there is no image {str(path)!r}; give the path of a file") from None
    except OSError as error:
        raise DataError(f"dataset: {str(path)!r} is not a readable image ({error.strerror}); {_CURE}") from None
    return decode(data, repr(str(path)))


def decode(data: bytes, name: str) -> Picture:
    """The image in some bytes. DataError, one sentence that calls it `name`, if it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                image.load()
                pixels = image.width * image.height
                return _picture(data if image.format == "JPEG" else _jpeg(image.convert("RGB")), pixels)
    except UnidentifiedImageError:
        raise DataError(f"dataset: {name} is not a readable image (its format is unknown); {_CURE}") from None
    except (Exception, Image.DecompressionBombWarning) as error:  # Pillow's decoders raise whatever they meet
        why = str(error).splitlines()[0].rstrip(".")[:120] if str(error) else type(error).__name__
        raise DataError(f"dataset: {name} is not a readable image ({why}); {_CURE}") from None


def read_all(sources: Iterable[Path | tuple[bytes, str]]) -> list[Picture]:
    """The images of a data set: files, or (bytes, what to call them). DataError if one cannot be read, or if they are
    too large together."""
    found: list[Picture] = []
    total = 0
    for source in sources:
        found.append(read_image(source) if isinstance(source, Path) else decode(*source))
        total += len(found[-1].url)
        if total > MAX_BYTES:
            raise DataError(f"dataset: its images take more than {MAX_BYTES >> 20} MB in memory; give fewer or smaller")
    return found


def are_in(folder: Path) -> bool:
    """Whether a folder has a file that is called like an image."""
    return any(p.suffix.lower() in SUFFIXES and p.is_file() for p in folder.iterdir())


def paths_in(folder: Path) -> list[Path]:
    """The image files of a folder, by their names. DataError if there is none."""
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise DataError(
            f"dataset: the folder {str(folder)!r} has no images; their names end in {', '.join(sorted(SUFFIXES))}"
        )
    return found


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _picture(jpeg: bytes, pixels: int) -> Picture:
    return Picture("data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"), len(jpeg), pixels)

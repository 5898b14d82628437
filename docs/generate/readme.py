"""Draws the README's chart with the README's own code: `python -m docs.generate.readme`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from basetenkit.reporting.altair_renderer import picture

ROOT = Path(__file__).parents[2]


def code() -> str:
    """The README's Python."""
    return str(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[0])


def chart() -> Any:
    """What the README's code draws, as an altair chart."""
    names: dict[str, Any] = {}
    exec(code(), names)
    return names["chart"]


if __name__ == "__main__":
    (ROOT / "docs" / "images" / "first.png").write_bytes(picture(chart().to_dict())[0])

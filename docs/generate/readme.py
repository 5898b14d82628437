"""Draws the README's chart with the README's own code, for light and dark pages: `python -m docs.generate.readme`.

Each picture holds its chart's specification as text, so that a test can compare it with the chart that the code draws today.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from basetenkit.reporting.altair_renderer import picture

ROOT = Path(__file__).parents[2]
PICTURES = {"light": ROOT / "docs" / "images" / "first.png", "dark": ROOT / "docs" / "images" / "first-dark.png"}
# The colours of GitHub's dark page in place of those of the theme's white card.
DARK = {
    "white": "#0d1117", "#222": "#e6edf3", "#555": "#9198a1", "#888": "#9198a1", "#ddd": "#30363d", "#0072B2": "#56B4E9",
}  # fmt: skip


def code() -> str:
    """The README's Python."""
    return str(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[0])


def results() -> dict[str, Any]:
    """Runs the README's code and returns its variables by name; `chart` is the altair chart."""
    names: dict[str, Any] = {}
    exec(code(), names)
    return names


def structure(spec: dict[str, Any]) -> dict[str, Any]:
    """A chart's specification without its numbers: marks, channels, titles, and of its data the columns and the texts in them."""
    told = {key: part for key, part in spec.items() if key not in ("datasets", "config", "data", "params")}
    data = [
        {name: sorted({row[name] for row in rows if isinstance(row[name], str)}) for name in rows[0]}
        for rows in spec.get("datasets", {}).values()
    ]
    return {"chart": _without(told, ("data", "domain")), "data": sorted(data, key=str)}


def committed(page: str) -> dict[str, Any]:
    """The specification in the committed picture for "light" or "dark" pages."""
    with Image.open(PICTURES[page]) as image:
        return dict(json.loads(image.info["spec"]))


def draw(spec: dict[str, Any], path: Path) -> None:
    """Writes a chart as a picture that holds its specification."""
    background = spec["config"]["background"]
    held = PngInfo()
    held.add_text("spec", json.dumps(spec, sort_keys=True), zip=True)
    with Image.open(io.BytesIO(picture(spec, background=background)[0])) as image:
        image.save(path, "PNG", optimize=True, pnginfo=held)


def in_dark(part: Any) -> Any:
    """The same specification in the colours of a dark page."""
    if isinstance(part, dict):
        return {key: in_dark(value) for key, value in part.items()}
    if isinstance(part, list):
        return [in_dark(value) for value in part]
    return DARK.get(part, part) if isinstance(part, str) else part


def _without(part: Any, names: tuple[str, ...]) -> Any:
    if isinstance(part, dict):
        return {key: _without(value, names) for key, value in part.items() if key not in names}
    return [_without(value, names) for value in part] if isinstance(part, list) else part


if __name__ == "__main__":
    drawn = results()["chart"].to_dict()
    draw(drawn, PICTURES["light"])
    draw(in_dark(drawn), PICTURES["dark"])

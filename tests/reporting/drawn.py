"""What a chart looks like once it is drawn: its texts as boxes and its marks as points, from vl-convert's scenegraph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import vl_convert

WIDE = 0.6  # a letter's width by its font size: JupyterLab's DejaVu Sans is wider than the Helvetica of vl-convert
ABOVE = {"top": 0.0, "line-top": 0.0, "middle": 0.5}  # of a text's height, by its baseline
ALIGNED = {"left": 0.0, "center": 0.5, "right": 1.0}


@dataclass(frozen=True)
class Text:
    """A text on the chart: its role ("axis-label", ...), its words, and its box."""

    role: str
    words: str
    left: float
    right: float
    top: float
    bottom: float

    def touches(self, other: Text, gap: float = 3.0) -> bool:
        """Whether less than `gap` pixels lie between them sideways, on overlapping lines."""
        apart = self.right + gap <= other.left or other.right + gap <= self.left
        return not apart and self.top < other.bottom and other.top < self.bottom


def texts(spec: dict[str, Any]) -> list[Text]:
    return list(_texts(_scene(spec), 0.0, 0.0))


def outside(spec: dict[str, Any]) -> list[str]:
    """Points, rules and bars that lie outside their panel, each in words."""
    return list(_outside(_scene(spec), None))


def _scene(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = vl_convert.vegalite_to_scenegraph(spec)["scenegraph"]
    return found


def _texts(node: dict[str, Any], x: float, y: float) -> Iterator[Text]:
    if node.get("marktype") == "text":
        shown = [item for item in node["items"] if item.get("opacity", 1) and str(item.get("text", "")).strip()]
        yield from (_box(item, x, y, str(node.get("role"))) for item in shown)
    elif node.get("marktype") == "group":
        for item in node["items"]:
            for mark in item.get("items", []):
                yield from _texts(mark, x + (item.get("x") or 0), y + (item.get("y") or 0))


def _box(item: dict[str, Any], x: float, y: float, role: str) -> Text:
    size, words = item.get("fontSize", 11), str(item["text"])
    wide = min(WIDE * size * len(words), item.get("limit") or 1e9)
    x, y = x + (item.get("x") or 0) + (item.get("dx") or 0), y + (item.get("y") or 0) + (item.get("dy") or 0)
    if item.get("angle"):  # upright: a title beside its axis
        return Text(role, words, x - size, x, y - wide / 2, y + wide / 2)
    left = x - ALIGNED[item.get("align", "left")] * wide
    top = y - ABOVE.get(item.get("baseline", "alphabetic"), 1.0) * size
    return Text(role, words, left, left + wide, top, top + size)


def _outside(node: dict[str, Any], panel: tuple[float, float] | None) -> Iterator[str]:
    kind, role = node.get("marktype"), node.get("role")
    if kind is None:  # an item of a group
        panel = (node["width"], node["height"]) if node.get("width") and node.get("height") else panel
    if kind not in (None, "group") and role == "mark" and panel and not node.get("clip"):
        for item in node["items"]:
            for name, most in zip("xy", panel, strict=True):
                for at in (item.get(name), item.get(f"{name}2")):
                    if kind != "text" and at is not None and not -1 <= at <= most + 1:
                        yield f"{kind} at {name}={at:.1f} of {most:.0f}"
        return
    for item in node.get("items", []):
        yield from _outside(item, panel)

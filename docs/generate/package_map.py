"""The map of the package in CONTRIBUTING.md, from the first sentence of each module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE, PAGE = ROOT / "basetenkit", ROOT / "CONTRIBUTING.md"
BEGIN, END = "<!-- the map: python -m docs.generate -->", "<!-- end of the map -->"
# From what a person calls down to what every part may use: the order of the layers.
ORDER = (
    "cli", "notebook", "studies", "interop", "session", "runs", "reporting", "execution", "analysis", "loadgen", "results",
    "workload", "stats", "parsing", "transport", "storage", "config", "core", "errors", "emulator",
)  # fmt: skip
WIDTH = 150


def first_sentence(path: Path) -> str:
    """What a module is for: the first sentence of its docstring, on one line."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[^.][.:])\s(?=[A-Z`])", text)[0]
    return sentence.rstrip(".:")


def lines(folder: Path, depth: int = 1) -> Iterator[str]:
    """A line per module and package below `folder`."""

    def order(path: Path) -> tuple[int, str]:
        name = path.stem
        return (ORDER.index(name) if depth == 1 and name in ORDER else -1 if depth == 1 else 0, name)

    entries = [p for p in folder.iterdir() if (p / "__init__.py").exists() or p.suffix == ".py"]
    for path in sorted((p for p in entries if p.name != "__init__.py"), key=order):
        about = first_sentence(path / "__init__.py" if path.is_dir() else path)
        name = f"{path.name}/" if path.is_dir() else path.name
        line = f"{'  ' * depth}{name:<{26 - 2 * depth}} {about}"
        yield line if len(line) <= WIDTH else f"{line[: WIDTH - 1].rstrip()}…"
        if path.is_dir():
            yield from lines(path, depth + 1)


def made() -> str:
    """The map as it should be."""
    return "\n".join([BEGIN, "```", "basetenkit/", *lines(PACKAGE), "```", END])


def page() -> str:
    """CONTRIBUTING.md with the map as it should be."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + made() + rest.partition(END)[2]

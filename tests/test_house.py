"""The house keeps its own rules: every source file has its tests, no function and no file grows past its limit, and nothing
unfinished is left lying about."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(p for p in (ROOT / "basetenkit").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NO_TESTS_OF_THEIR_OWN = {"__init__", "__main__", "errors"}
FUNCTION_LINES, FILE_LINES = 60, 350


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_every_source_file_has_its_test_file_and_says_what_it_is_for(path: Path) -> None:
    if path.stem not in NO_TESTS_OF_THEIR_OWN and "data" not in path.parts:
        assert f"test_{path.stem}.py" in {t.name for t in TESTS}
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name)
def test_functions_and_files_stay_short(path: Path) -> None:
    text = path.read_text()
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    long = [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > FUNCTION_LINES]
    assert long == []
    assert text.count("\n") <= FILE_LINES or path in TESTS


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_nothing_unfinished_is_left(path: Path) -> None:
    assert not re.search(r"NotImplementedError|\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b", path.read_text())


def test_the_map_names_every_room() -> None:
    plan = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = {p.relative_to(ROOT / "basetenkit").parts[0] for p in SOURCES}
    missing = [r for r in rooms if r != "__init__.py" and r not in plan and f"{r}/" not in plan]
    assert missing == []


def test_nobody_imports_upstairs() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

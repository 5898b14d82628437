"""The house keeps its own rules: every source file has its tests, no function and no file grows past its limit, and nothing
unfinished is left lying about. Each rule is one test that lists every file that breaks it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = sorted(p for p in (ROOT / "basetenkit").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NO_TESTS_OF_THEIR_OWN = {"__init__", "__main__", "errors"}
FUNCTION_LINES, FILE_LINES = 60, 350


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_there_are_files_to_look_at() -> None:
    assert {"basetenkit/__init__.py", "basetenkit/engine/clock.py"} <= {name(path) for path in SOURCES}
    assert {"tests/test_house.py", "tests/engine/test_clock.py"} <= {name(path) for path in TESTS}


def test_every_source_file_has_its_test_file() -> None:
    tests = {path.name for path in TESTS}
    own = [path for path in SOURCES if path.stem not in NO_TESTS_OF_THEIR_OWN and "data" not in path.parts]
    assert [name(path) for path in own if f"test_{path.stem}.py" not in tests] == []


def test_every_source_file_says_what_it_is_for() -> None:
    assert [name(path) for path in SOURCES if not ast.get_docstring(tree(path))] == []


def test_functions_stay_short() -> None:
    functions = [
        (path, node)
        for path in SOURCES + TESTS
        for node in ast.walk(tree(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    long = [(name(p), f.name) for p, f in functions if (f.end_lineno or 0) - f.lineno + 1 > FUNCTION_LINES]
    assert long == []


def test_source_files_stay_short() -> None:
    assert [name(path) for path in SOURCES if path.read_text().count("\n") > FILE_LINES] == []


def test_nothing_unfinished_is_left() -> None:
    unfinished = re.compile(r"NotImplementedError|\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b")
    assert [name(path) for path in SOURCES if unfinished.search(path.read_text())] == []


def test_the_map_names_every_room() -> None:
    plan = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = {p.relative_to(ROOT / "basetenkit").parts[0] for p in SOURCES}
    missing = [r for r in rooms if r != "__init__.py" and r not in plan and f"{r}/" not in plan]
    assert missing == []


def test_nobody_imports_upstairs() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

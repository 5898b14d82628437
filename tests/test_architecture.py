"""The package keeps its own rules: every source file has its tests, no function and no file grows past its limit, and nothing
unfinished is left lying about. Each rule is one test that lists every file that breaks it."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from docs.generate import COMMAND, package_map

ROOT = Path(__file__).parents[1]
SOURCES = sorted(p for p in (ROOT / "basetenkit").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NO_TESTS_OF_THEIR_OWN = {"__init__", "__main__", "errors"}
FUNCTION_LINES, FILE_LINES = 60, 350
SAME_NAME = 2


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_there_are_files_to_look_at() -> None:
    assert {"basetenkit/__init__.py", "basetenkit/transport/clock.py"} <= {name(path) for path in SOURCES}
    assert {"tests/test_architecture.py", "tests/transport/test_clock.py"} <= {name(path) for path in TESTS}


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
    every = [*SOURCES, *(path for folder in ("tests", "docs", "scripts") for path in (ROOT / folder).rglob("*.py"))]
    assert [name(path) for path in every if path.read_text().count("\n") > FILE_LINES] == []


def test_nothing_unfinished_is_left() -> None:
    unfinished = re.compile(r"NotImplementedError|\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b")
    assert [name(path) for path in SOURCES if unfinished.search(path.read_text())] == []


def test_the_map_names_every_module() -> None:
    drawn = package_map.made()
    assert drawn in (ROOT / "CONTRIBUTING.md").read_text(), COMMAND
    missing = [name(path) for path in SOURCES if path.stem != "__init__" and f" {path.name} " not in drawn]
    assert missing == []


def test_no_class_name_stands_for_two_classes() -> None:
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name(path))
    assert len(places) > 150, "the classes were found"
    assert {class_name: paths for class_name, paths in places.items() if len(paths) > 1} == {}


def test_few_functions_share_a_name() -> None:
    """A public function's name says what it does without its module's: at most two have the same one, `main` excepted."""
    places: dict[str, set[str]] = {}  # a set: overloads are one function
    for path in SOURCES:
        for node in tree(path).body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
                places.setdefault(node.name, set()).add(name(path))
    assert len(places) > 400, "the functions were found"
    assert {f: paths for f, paths in places.items() if len(paths) > SAME_NAME and f != "main"} == {}


def imports_of(path: Path) -> set[str]:
    """The packages of basetenkit that a file imports from, itself excepted; what only type checkers see does not count."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    found = set()
    unseen = {
        id(inner)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and id(node) not in unseen:
            base = parts[: len(parts) - node.level] if node.level else ()
            module = (*base, *(node.module or "").split(".")) if node.module else base
            names = [module] if len(module) > 1 else [(*module, alias.name) for alias in node.names]
            found |= {name[1] for name in names if name[:1] == ("basetenkit",) and len(name) > 1}
    return found - {parts[1]}


def layers() -> list[list[str]]:
    """The packages of each layer, top to bottom, as import-linter's contract has them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if c["type"] == "layers"]
    return [[name.strip("() ") for name in layer.split("|")] for layer in contract["layers"]]


def graph() -> dict[str, set[str]]:
    drawn: dict[str, set[str]] = {}
    for path in SOURCES:
        package = path.relative_to(ROOT / "basetenkit").parts[0].removesuffix(".py")
        if package not in ("__init__", "emulator"):
            drawn.setdefault(package, set()).update(imports_of(path))
    return drawn


def test_no_package_imports_one_above_it_or_beside_it() -> None:
    level = {package: at for at, packages in enumerate(layers()) for package in packages}
    drawn = graph()
    assert set(drawn) == set(level), "each package has its place among the layers"
    known = {(a, b) for a, targets in drawn.items() for b in targets if b in level}
    assert len(known) > 50, "the graph was drawn"
    assert sorted((a, b) for a, b in known if level[b] <= level[a]) == []


def test_packages_import_each_other_in_no_loop() -> None:
    order = graphlib.TopologicalSorter({a: {b for b in targets if b != "emulator"} for a, targets in graph().items()})
    assert len(list(order.static_order())) >= 17


def test_import_linters_contracts_are_kept() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

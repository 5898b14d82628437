"""The wheel has what the package needs at run time, and nothing of the tests. `.ci/run` installs it into a clean environment
and runs the quickstart from there."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "basetenkit"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel built from this tree, without its own environment to build in."""
    out = tmp_path_factory.mktemp("wheel")
    build = "import hatchling.build as b, sys; print(b.build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(out)], cwd=ROOT, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    assert path.name.startswith("basetenkit-")
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_everything_of_the_package_is_in_the_wheel(wheel: list[str]) -> None:
    there = {str(p.relative_to(ROOT)) for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert there <= set(wheel)
    assert [n for n in there if not n.endswith((".py", ".pyi"))], "embedded data"


def test_nothing_else_is_in_it(wheel: list[str]) -> None:
    tops = {name.split("/")[0].partition("-")[0] for name in wheel}
    assert tops == {"basetenkit"}
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


def test_this_environment_knows_the_package(wheel: list[str]) -> None:
    (info,) = [n for n in wheel if n.endswith("METADATA")]
    assert importlib.metadata.version("basetenkit") in info

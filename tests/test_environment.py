"""environment.yml and pyproject.toml say the same."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]


def test_conda_takes_everything_from_pyproject() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    python, pip, from_pip = environment["dependencies"]
    assert environment["name"] == project["name"]
    assert SpecifierSet(python.removeprefix("python")) == SpecifierSet(project["requires-python"])
    assert pip == "pip"
    assert from_pip == {"pip": ["-e ."]}


def test_what_would_downgrade_others_is_kept_out() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    held = {line.partition("<")[0] for line in document["tool"]["uv"]["constraint-dependencies"]}
    assert held == {"litellm", "mistral-common"}
    declared = [
        d
        for group in (document["project"]["dependencies"], *document["project"]["optional-dependencies"].values())
        for d in group
    ]
    assert not [d for d in declared if d.startswith(("litellm", "mistral"))]


def test_no_committed_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    hosts = [
        ".".join(x)
        for x in (("pypi", "org"), ("python" + "hosted", "org"), ("registry", "npmjs", "org"), ("deb", "debian", "org"))
    ]
    kinds = {".py", ".md", ".toml", ".yml", ".yaml", ".ipynb", ".sh", ".txt"}
    skipped = {".venv", ".git", "runs", ".artifacts", "site"}
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = set(folders) - skipped
        for path in (Path(folder, name) for name in names):
            if path.suffix in kinds and path.is_file():
                text = path.read_text("utf8", "replace")
                found += [(path, host) for host in hosts if host in text]
    assert found == []

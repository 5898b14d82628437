"""Pages that follow from the code: `python -m docs.generate` writes all of them again, and tests check that they are up to date.

One module per page or family of pages. `gallery` also draws pictures, which takes longer: `python -m docs.generate.gallery` and
`python -m docs.generate.readme`.
`notebooks` and `site` are used by `mkdocs build` (see mkdocs.yml).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import baseten_support, definitions, faults, genai_bench, package_map, reference

DOCS = Path(__file__).parents[1]
COMMAND = "run `python -m docs.generate`"
# page, relative to docs/ -> what writes its text
PAGES: dict[str, Callable[[], str]] = {
    "reference/api.md": reference.api_page,
    "reference/columns.md": reference.columns_page,
    "reference/scenarios.md": reference.scenarios_page,
    "reference/genai-bench.md": genai_bench.page,
    "reference/baseten-support.md": baseten_support.page,
    "concepts/definitions.md": definitions.page,
    "reference/faults.md": faults.page,
    "../CONTRIBUTING.md": package_map.page,
}


def write() -> None:
    """Writes every page of PAGES."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), "utf-8")

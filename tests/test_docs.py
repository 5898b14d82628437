"""The documentation: pages that follow from the code are up to date, links lead somewhere."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import basetenkit as bk
from docs.generate import COMMAND, DOCS, PAGES

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", list(PAGES))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == PAGES[name](), COMMAND


@pytest.mark.parametrize("name", [n for n in bk.__all__ if not n.startswith("__")])
def test_every_public_name_says_what_it_is(name: str) -> None:
    assert len(inspect.getdoc(getattr(bk, name)) or "") > 20


def test_links_within_the_docs_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    links = [(p, x) for p in pages for x in re.findall(r"\]\(([^)#\s]+)[^)]*\)", p.read_text()) if ":" not in x]
    assert [(str(p), x) for p, x in links if not (p.parent / x).exists()] == []

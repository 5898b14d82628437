"""The documentation: pages that follow from the code are up to date, links lead somewhere."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
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
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    links = [(p, x) for p in pages for x in re.findall(r"\]\(([^)#\s]+)[^)]*\)", p.read_text()) if ":" not in x]
    assert [(str(p), x) for p, x in links if not (p.parent / x).exists()] == []


def test_towncrier_takes_each_file_of_changes() -> None:
    """A file with a name that towncrier does not know would be left out of the release's section without a word."""
    run = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next"]
    draft = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]
    assert "## next" in draft
    assert [path.name for path in files if "".join(path.read_text("utf-8").split()) not in "".join(draft.split())] == []


QUESTIONS = {
    "what is it": ("docs/index.md", "Measure language-model endpoints"),
    "why trust it": ("docs/concepts/clock.md", "## Measured beside other tools"),
    "how do I start": ("docs/tutorial/first-run.md", "uv run papermill notebooks/01_quickstart.ipynb"),
    "how do I measure my endpoint": ("docs/how-to/endpoint.md", "# Measure your own endpoint"),
    "how do I read a result": ("docs/faq.md", "## How do I read a result?"),
    "what is TPOT": ("docs/concepts/definitions.md", "## TPOT: time per output token"),
}


@pytest.mark.parametrize("start", ["README.md", "docs/index.md"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_two_clicks_lead_to_the_answer(start: str, question: str) -> None:
    """The page with the answer is at most two links away from the page on which a reader begins."""
    name, words = QUESTIONS[question]
    reached = {ROOT / start}
    for _ in range(2):
        reached |= {(page.parent / link).resolve() for page in reached for link in _links(page)}
    assert words in (ROOT / name).read_text("utf-8")
    assert ROOT / name in reached


def _links(page: Path) -> list[str]:
    text = page.read_text("utf-8") if page.suffix == ".md" else ""
    return [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if ":" not in link]


def test_anchors_within_the_docs_are_headings() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = []
    for page in pages:
        for link, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text("utf-8")):
            there = (page.parent / link).resolve() if link else page
            headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.M)
            if anchor not in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}:
                broken.append((page.name, link, anchor))
    assert broken == []

"""A word list over the prose of the repository: docstrings, comments, texts in strings, notebooks and Markdown pages."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNITS = "batch|block|bucket|case|chunk|column|cell|day|field|file|frame|hour|level|line|message|minute|request|row|run|second|token"
MARKS = "point|sentence|chart|bar|turn|word|tick|panel|curve|colour|gate|series"
THINGS = "answer|client|clock|document|endpoint|engine|figure|file|gateway|kernel|model|process|provider|response|row|server|tool"

# kind -> (pattern, a sentence that must fail, a plain sentence that must pass)
KINDS: dict[str, tuple[str, str, str]] = {
    "'where' for 'if' or 'when'": (
        r"(?:^|[.:;] )Where (?:an?|the|it|its|no|none|nobody|nothing|one|several|some|many|much|all|each|there|that|this|they|"
        r"\w+ (?:is|are|was|were|has|have|does|do|reports?|differs?)) (?![^.]*\?)",
        "Where a server reports nothing, the tokenizer counts.",
        "Where is the file? If a server reports nothing, the tokenizer counts.",
    ),
    "'what is' as a noun": (
        r"(?:^|[.:;,] |\b(?:of|from|in|for|with|than|and|but|as) )[Ww]hat (?:is|was|were) (?![^.]*\?)",
        "What is missing is run again.",
        "Missing levels are run again; the error says what is wrong. What is TTFT?",
    ),
    "'is no' for 'is not'": (
        r"(?<![Tt]here )(?<!that )\b(?:is|are|was|were) no (?!longer|more|less|fewer|worse|better|later|earlier)",
        "The body is no JSON.",
        "The body is not JSON, there is no header, and it is no longer read.",
    ),
    "'a row a level' for 'one row per level'": (
        rf"\b(?:[Aa]n?|[Oo]ne) (?:{UNITS}|{MARKS}) an? (?:{UNITS}|{MARKS}|\()",
        "The table has a row a level.",
        "The table has one row per level, and a row is a dict.",
    ),
    "'a request' for 'per request'": (
        rf"\b(?:requests|tokens|rows|bytes|megabytes|documents|images|inputs|chunks|events|times) an? (?:{UNITS})\b",
        "The rate is 20 requests a second.",
        "The rate is 20 requests per second.",
    ),
    "'stands' for 'is'": (
        r"\b(?:stands?|stood)\b(?! for\b| out\b|-)",
        "The interval stands beside the figure.",
        "The interval is next to the figure, and D stands for constant.",
    ),
    "a thing that 'says' or 'knows'": (
        rf"\b(?:{THINGS})s? (?:said|tells|told|knows|knew|speaks)\b|\b(?:server|gateway|provider)s? says?\b",
        "The server said that it was full.",
        "The server returned an error that says: full.",
    ),
    "'mend' for 'fix'": (r"\b[Mm]end(?:s|ed|ing)?\b", "Mend the cause first.", "Fix the cause first."),
    "'all the same' for 'anyway'": (r"\ball the same\b", "The levels run all the same.", "The levels run anyway."),
    "'speaks of' for 'describes'": (
        r"\bspeaks? of\b",
        "A mean speaks of neither end.",
        "The mean describes neither the start nor the end.",
    ),
    "'null where' for 'null if'": (
        r"\b(?:null|None|True|False|[Nn]othing|empty|\w+Error) where (?![^.]*\?)",
        "The figure is null where the server sent none, and a StoreError where the folder is none.",
        "The figure is null if the server sent none. It is null. Where is the folder?",
    ),
    "'what became of' for 'the outcome of'": (
        r"\b[Ww]hat (?:ha[sd] |have )?bec(?:ame|ome) of\b",
        "The table shows what became of the requests.",
        "The table shows the outcome of each request, and what it became.",
    ),
    "'nobody knows' for 'is unknown'": (
        r"\b[Nn]obody (?:knows|knew|can|could)\b",
        "It was cut, and nobody knows its latency.",
        "It was cut, so its latency is unknown; nobody took it.",
    ),
    "'told' for 'distinguished' or 'estimated'": (
        r"\b(?:can|cannot|could|may) be told\b|\btold (?:apart|from)\b",
        "The two effects cannot be told apart.",
        "The two effects cannot be distinguished.",
    ),
    "'holds the truth' for 'covers the true value'": (
        r"\b(?:holds?|held) the truth\b|\boff the truth\b",
        "The interval holds the truth in 95% of the runs.",
        "The interval covers the true value in 95% of the runs.",
    ),
    "'whoever'": (
        r"\b[Ww]hoever (?!they are)",
        "The level has 200 requests, whoever sends them.",
        "The level has 200 requests, whichever process sends them. Everybody may take part, whoever they are.",
    ),
    "'be had' and 'at hand'": (
        r"\b(?:can|cannot|to) be had\b|\b(?:at|in) hand\b",
        "The tokenizer cannot be had.",
        "The tokenizer cannot be loaded; it is at hander.org.",
    ),
    "'is said' for 'is reported'": (
        r"\b(?:is|are|was|were|be) said\b",
        "The step is said only if the intervals show it.",
        "The step is reported only if the intervals show it.",
    ),
    "'X is right' for 'expected X'": (
        r"; [^;:.]{1,60}\b(?:is|are) right\b",
        "status is str; a number such as 200 is right",
        "status is str; expected a number such as 200. The answer is right.",
    ),
    "'a thread of its own' for 'its own thread'": (
        r"\b[Aa]n? [\w-]+ of (?:its|their|his|her) own\b",
        "It runs on a thread of its own.",
        "It runs on its own thread.",
    ),
    "'so few requests' for 'too few requests'": (
        r"\b[Ss]o (?:few|manieth) [\w ]*?(?:cannot|give|do not|have no)\b|\bmanieth\b",
        "So few requests cannot bound it.",
        "Too few requests to bound it; so few that it is null.",
    ),
    "an ambiguous 'the kernel'": (
        r"\b[Tt]h(?:e|is) kernel\b",
        "The kernel stamps each byte.",
        "The OS kernel timestamps each byte; the notebook kernel stays free.",
    ),
}
PATTERNS = {kind: re.compile(pattern) for kind, (pattern, _, _) in KINDS.items()}


def python_prose(source: str, *, strings: bool = True) -> Iterator[tuple[int, str]]:
    """(line, text) of each docstring and comment, and with `strings` of each string literal that has spaces; comments on
    consecutive lines are one text."""
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#: ")
            if comments and comments[-1][0] + comments[-1][1].count("\n") + 1 == token.start[0]:
                comments[-1] = (comments[-1][0], f"{comments[-1][1]}\n{text}")
            else:
                comments.append((token.start[0], text))
    yield from comments
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    firsts = [node.body[0] for node in ast.walk(tree) if isinstance(node, documented) and node.body]
    docs = {id(first.value) for first in firsts if isinstance(first, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and (id(node) in docs or strings):
            yield node.lineno, node.value


def notebook_prose(source: str) -> Iterator[tuple[int, str]]:
    """(cell, text) of a notebook's Markdown, and of its comments and strings."""
    for at, cell in enumerate(json.loads(source)["cells"]):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield at, text
        else:
            yield from ((at, found) for _, found in python_prose(text))


def markdown_prose(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each paragraph, without code blocks and inline code."""
    source = re.sub(r"```.*?```", lambda found: "\n" * found[0].count("\n"), source, flags=re.S)
    line = 1
    for paragraph in source.split("\n\n"):
        yield line, paragraph
        line += paragraph.count("\n") + 2


def found_in(text: str) -> list[tuple[str, str]]:
    """(kind, the words) of every match in one text; line breaks count as spaces, and code between backticks is ignored."""
    plain = re.sub(r"\s+", " ", re.sub(r"`[^`]*`", "it", text)).strip()
    return [(kind, hit[0]) for kind, pattern in PATTERNS.items() for hit in pattern.finditer(plain)]


def problems(path: Path) -> list[str]:
    source = path.read_text("utf-8")
    if path.suffix == ".py":
        texts = python_prose(source, strings="tests" not in path.relative_to(ROOT).parts[:1])
    else:
        texts = notebook_prose(source) if path.suffix == ".ipynb" else markdown_prose(source)
    name = path.relative_to(ROOT).as_posix()
    return [f"{name}:{at}: {kind}: {words!r}" for at, text in texts for kind, words in found_in(text)]


def files() -> list[str]:
    """The Python files, notebooks and pages that Git has or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py", "*.ipynb", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file() and ROOT / name != Path(__file__)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_sentence_of_each_kind_is_found(kind: str) -> None:
    _, wrong, right = KINDS[kind]
    assert kind in {found for found, _ in found_in(wrong)}
    assert found_in(right) == []
    texts = {
        "docstring": python_prose(f'def f():\n    """{wrong}"""\n', strings=False),
        "comment": python_prose(f"x = 1  # {wrong}\n", strings=False),
        "string": python_prose(f'raise ValueError("{wrong}")\n'),
        "cell": notebook_prose(json.dumps({"cells": [{"cell_type": "markdown", "source": [wrong]}]})),
        "page": markdown_prose(f"# A page\n\n{wrong}\n"),
    }
    for place, found in texts.items():
        assert kind in {one for _, text in found for one, _ in found_in(text)}, place


def test_the_prose_of_the_repository_is_plain() -> None:
    found = [problem for name in files() for problem in problems(ROOT / name)]
    assert not found, "\n".join(found)

"""Code never parses text that is written for people: no code looks at the words of our own sentences.

The check follows the places where a sentence of ours is kept (an error's message, a finding's sentence, a row's
`error_message` and `warnings`, the text of an exception) and fails where one is searched, cut or matched. Words of others
may be read: a server's, or another tool's files. Those modules are named here, each with whose words they read.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "basetenkit"
OF_OTHERS = {
    "parsing": "a server's response",
    "results/migrations.py": "what version 1 saved, before it was data",
    "analysis/refusals.py": "a server's message",
    "storage/troubles.py": "the exceptions of obstore",
    "studies/preflight.py": "a server's message",
    "interop/trackers.py": "the exceptions of trackers' packages",
    "results/run_data.py": "the exceptions of polars",
    "interop/genai_bench/reading.py": "genai-bench's files",
    "interop/genai_bench/writing.py": "the form of genai-bench's files",
    "workload": "messages of conversations, which are chat messages",
    "emulator": "what is sent to the embedded endpoint",
}
KEPT_IN = {"error_message", "warnings", "sentence", "cure", "message", "warning"}
SEARCHES = {
    "startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition", "find", "rfind", "index", "count",
    "split", "rsplit", "splitlines", "contains", "starts_with", "ends_with", "extract", "extract_all", "extract_groups",
    "strip_prefix", "strip_suffix", "contains_any", "count_matches",
}  # fmt: skip
PATTERNS = {"match", "search", "fullmatch", "findall", "finditer", "sub", "split"}


def is_kept_text(node: ast.expr) -> bool:
    """Whether an expression is one of the texts, or a part or an element of it."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in KEPT_IN:
            return True
        case ast.Subscript(slice=ast.Constant(value=str() as key)) if key in KEPT_IN:
            return True
        case ast.Call(func=ast.Attribute(attr="col"), args=[ast.Constant(value=str() as name), *_]) if name in KEPT_IN:
            return True
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str() as key), *_]) if key in KEPT_IN:
            return True
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name)]):
            return name in ("error", "wrong", "found", "finding", "note", "stop")
        case ast.Subscript(value=value) | ast.Attribute(value=value):
            return is_kept_text(value)
        case ast.Call(func=ast.Attribute(value=value)):
            return is_kept_text(value)
        case ast.BoolOp(values=values):
            return any(map(is_kept_text, values))
    return False


def reads(tree: ast.AST) -> list[int]:
    """The lines on which a text for people is searched or cut."""
    lines = []
    elements = {"element": False}
    for node in ast.walk(tree):
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[text]) if is_kept_text(text):
                lines.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr="eval", value=value), args=arguments) if is_kept_text(value):
                inner = [
                    n for a in arguments for n in ast.walk(a) if isinstance(n, ast.Attribute) and n.attr in SEARCHES
                ]
                lines += [node.lineno] * bool(inner)
            case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in SEARCHES and is_kept_text(value):
                lines.append(node.lineno)
            case ast.Call(func=ast.Attribute(attr=name), args=[_, *texts]) if name in PATTERNS and any(
                map(is_kept_text, texts)
            ):
                lines.append(node.lineno)
            case ast.comprehension(target=ast.Name(id=name), iter=source) if is_kept_text(source):
                elements[name] = True
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=method, value=ast.Name(id=name))) if method in SEARCHES:
                lines += [node.lineno] * elements.get(name, False)
    return sorted(lines)


@pytest.mark.parametrize(
    "source",
    [
        'found = {f.sentence.split(":")[0] for f in findings}',
        'own = failed["error_message"].str.starts_with(OWN_LIMIT)',
        'dead = "refused" in message',
        'dead = "refused" in (row["error_message"] or "")',
        'x = pl.col("warnings").list.eval(pl.element().str.starts_with("echo:"))',
        'ahead = any(w.startswith("length_ahead") for w in row["warnings"])',
        'match = re.match("RunConfig", str(error))',
        "for line in str(error).splitlines(): pass",
        'known = [w for w in parsed.warnings if w.startswith("echo:")]',
        'told = row.get("error_message").partition(": ")',
    ],
)
def test_the_check_sees_each_form_that_stood_here_once(source: str) -> None:
    assert reads(ast.parse(source)) == [1]


@pytest.mark.parametrize(
    "source",
    [
        'code = {f.code for f in findings if f.code.startswith("genai_bench")}',
        'missing = pl.col("error_message").is_null()',
        'rows.drop("warnings")',
        'write(f"{f.sentence} {f.cure}")',
        'shown = html.escape(row["error_message"] or "")',
    ],
)
def test_what_only_shows_a_text_is_let(source: str) -> None:
    assert reads(ast.parse(source)) == []


def own_modules() -> list[Path]:
    inside = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return [path for path in inside if not {path.as_posix(), path.parts[0]} & OF_OTHERS.keys()]


@pytest.mark.parametrize("path", own_modules(), ids=str)
def test_no_sentence_of_ours_is_read_by_code(path: Path) -> None:
    assert reads(ast.parse((PACKAGE / path).read_text())) == []


def test_each_exception_is_still_needed() -> None:
    assert {name for name in OF_OTHERS if not (PACKAGE / name).exists()} == set()

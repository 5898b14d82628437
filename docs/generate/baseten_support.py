"""The table of what works with Baseten's formats, each line beside the tests that check it, found by their markers."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = {
    "chat": "OpenAI-compatible chat format by default: `messages`, model, `max_tokens`, `ignore_eos`, `stream_options`",
    "prompt": 'Simple prompt format: `prompt`, enabled by `use_prompt_format` or `request_format="prompt"`',
    "streaming": "Streaming and non-streaming responses, by one global switch",
    "filter": "`stream` and `use_prompt_format` never reach the API; every other parameter does",
    "temperature": "`temperature` is sent as given, and only if given",
    "openai response": "OpenAI-compatible JSON response, with its usage",
    "alternative fields": "JSON with `text`, `output`, `response` or `generated_text`",
    "plain text": "Plain text response",
    "network": "Network connection issues: a row and a sentence",
    "http error": "HTTP error responses: a row with the server's own words",
    "malformed": "Malformed JSON: never counted as success",
    "authentication": "Missing or invalid authentication, told in one sentence",
    "keys": "Keys: given, then MODEL_API_KEY, then BASETEN_API_KEY (Baseten only)",
    "commands": "The four command lines, as they are written there",
    "image content": "Image content: JPEG data URLs behind the text, made to size or from a folder",
    "embeddings": "text-to-embeddings",
    "debug": "`LOG_LEVEL=DEBUG` shows requests and responses, without the key",
    "warnings": "Warnings about token estimation and response parsing",
}


def holders() -> dict[str, list[str]]:
    """Line -> the tests that hold it, from the markers `baseten` of all test files."""
    out: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for mark in getattr(node, "decorator_list", []):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.baseten":
                    where = f"{path.relative_to(ROOT)}::{node.name}"  # type: ignore[attr-defined]
                    for line in mark.args:
                        out.setdefault(ast.literal_eval(line), []).append(where)
    return out


def page() -> str:
    """The table, in Markdown."""
    held = holders()
    rows = [f"| {text} | {'<br>'.join(f'`{t}`' for t in held.get(key, []))} |" for key, text in LINES.items()]
    head = "# Baseten support, line by line\n\nEach line beside the tests that hold it; "
    head += "`python -m docs.generate` writes this page.\n"
    return head + "\n| What works | Held by |\n|---|---|\n" + "\n".join(rows) + "\n"

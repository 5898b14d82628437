"""One file per dialect: how one family of servers encodes the model's output.

A dialect is a function `read(doc, out, start, end) -> bool`. It looks at one JSON object (a message of a stream or a
whole document; both look alike in every dialect), puts what it finds into the Collector, and gives False if the object
is not of its kind. To add one: write its file, and put it into READERS before any that would take its objects.
"""

from __future__ import annotations

from collections.abc import Callable

from basetenkit.parsing.collector import Collector
from basetenkit.parsing.dialects import (
    anthropic,
    baseten,
    cohere,
    gemini,
    ollama,
    openai,
    responses,
    sglang,
    tgi,
    triton,
)

Reader = Callable[[dict[str, object], Collector, int, int], bool]

READERS: dict[str, Reader] = {
    "OpenAI": openai.read_openai,
    "OpenAI Responses": responses.read_responses,
    "Anthropic": anthropic.read_anthropic,
    "Cohere": cohere.read_cohere,
    "Gemini": gemini.read_gemini,
    "TGI": tgi.read_tgi,
    "SGLang": sglang.read_sglang,
    "Ollama": ollama.read_ollama,
    "Triton": triton.read_triton,
    "a model's own keys": baseten.read_baseten,  # takes nearly anything: last
}


def find(doc: dict[str, object], out: Collector, start: int, end: int) -> Reader | None:
    """The first dialect that takes `doc` in; None if none does. Its name is left in `out.dialect`."""
    for name, reader in READERS.items():
        if reader(doc, out, start, end):
            if out.dialect != name:
                out.add_trace(f"dialect: {name}", start, end)
            out.dialect = name
            return reader
    return None

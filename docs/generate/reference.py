"""The reference pages: public names, columns, scenarios, from docstrings and schemas."""

from __future__ import annotations

import inspect
import re
from functools import cached_property
from typing import Any

import basetenkit as bk
from basetenkit.config.scenarios import FORMS, grammar
from basetenkit.results.run_data import RunData
from basetenkit.results.schema import CHUNK_COLUMNS, COLUMNS
from basetenkit.workload import conversations, datasets, hub_data, marks, writer

DATA = {"never": "", "may": "its words, if there is one", "must": "its entries"}
WIDE = 88
MADE = "`python -m docs.generate` writes this page from the code.\n"


def columns_page() -> str:
    out = f"# The columns of `run.requests` and `run.chunks`\n\nA value that was not measured is null. {MADE}"
    for title, table in (("run.requests", COLUMNS), ("run.chunks", CHUNK_COLUMNS)):
        out += f"\n## `{title}`\n\n| column | type | meaning |\n|---|---|---|\n"
        out += "".join(f"| `{name}` | {kind} | {meaning} |\n" for name, (kind, meaning) in table.items())
    return out


def _signature(thing: Any) -> str:
    """The signature as text; annotations without quotation marks."""
    try:
        signature = inspect.signature(thing)
        plain = [p.replace(annotation=_bare(p.annotation)) for p in signature.parameters.values()]
        returns = signature.empty if inspect.isclass(thing) else _bare(signature.return_annotation)
        return re.sub(r"<.*?>", "...", str(signature.replace(parameters=plain, return_annotation=returns)))
    except (TypeError, ValueError):
        return ""


def _doc(thing: Any) -> str:
    """The docstring; sections in numpy's form as bold words and lists, because their underlines would be headings here."""
    title, sections = (
        re.compile(r"^(\w[\w ]*)\n-{3,}$", re.M),
        re.split(r"(?m)^(?=\w[\w ]*\n-{3,}$)", inspect.getdoc(thing) or ""),
    )
    listed = [re.sub(r"(?m)^(\w[\w, ]*) : (.*)$", r"- `\1`: \2", part) for part in sections[1:]]
    text = "".join([sections[0], *(title.sub(r"**\1**\n", part) for part in listed)])
    return re.sub(r"(?ms)^(>>> .*?)(?=\n\n|\Z)", r"```python\n\1\n```", text)


class _Bare:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _bare(annotation: Any) -> Any:
    return _Bare(annotation) if isinstance(annotation, str) else annotation


def _called(name: str, signature: str) -> str:
    """A call as it is shown: one line per parameter if it is long."""
    head, _, returns = signature.rpartition(")")
    if len(name + signature) <= WIDE or not head:
        return name + signature
    parts, depth = [""], 0
    for letter in head[1:]:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return f"{name}(\n" + "".join(f"    {part.strip()},\n" for part in parts) + f"){returns}"


def _members(thing: Any) -> list[tuple[str, str, str]]:
    """(name, signature, docstring) of what a class itself defines in public; a Run has what its data have, too."""
    out = []
    defined = {**(vars(RunData) if thing is bk.Run else {}), **vars(thing)}
    for name, value in defined.items():
        attribute = isinstance(value, property | cached_property)
        inner = value.fget if isinstance(value, property) else getattr(value, "__func__", getattr(value, "func", value))
        doc = _doc(inner) if inspect.isfunction(inner) else None
        if not name.startswith("_") and doc:
            out.append((name, "" if attribute else _signature(inner), doc))
    return out


def api_page() -> str:
    out = f"# Reference\n\n{MADE}"
    for name in bk.__all__:
        thing = getattr(bk, name)
        if inspect.ismodule(thing):
            out += f"\n## `bk.{name}`\n\n{_doc(thing)}\n"
            continue
        if not callable(thing) or name.startswith("__"):
            continue
        fields = getattr(thing, "model_fields", None)
        signature = "(...)" if fields else _signature(thing)
        out += f"\n## `bk.{name}`\n\n```python\n{_called(f'bk.{name}', signature)}\n```\n\n{_doc(thing)}\n"
        if fields:
            out += "\n| field | default | meaning |\n|---|---|---|\n"
            for field, info in fields.items():
                default = "required" if info.is_required() else f"`{info.get_default(call_default_factory=True)!r}`"
                out += f"| `{field}` | {default} | {info.description} |\n"
        if inspect.isclass(thing):
            out += "".join(f"\n**`.{n}{s}`** {d}\n" for n, s, d in _members(thing))
    return out


def scenarios_page() -> str:
    out = f"# Scenarios and data sets\n\nA scenario is a short text that says what is sent. {MADE}\n"
    out += "| form | example | task | data set | meaning |\n|---|---|---|---|---|\n"
    for letters, kind in FORMS.items():
        texts, tasks = (", ".join(f"`{x}`" for x in some) for some in ([letters + f for f in kind.forms], kind.tasks))
        doc = (inspect.getdoc(kind) or "") if kind.sampled else "Read in old result folders, and not sent."
        out += f"| {texts} | `{kind.example}` | {tasks} | {DATA[kind.data]} | {' '.join(doc.split())} |\n"
    for title, module in (("Mixtures", grammar), ("Prompts of a length", writer), ("Data sets", datasets)):
        out += f"\n## {title}\n\n{inspect.getdoc(module)}\n"
    for title, module in (("Order and marks", marks), ("Conversations", conversations), ("Hugging Face", hub_data)):
        out += f"\n### {title}\n\n{inspect.getdoc(module)}\n"
    return out

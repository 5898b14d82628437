"""The replacement of genai-bench's `prompt_lambda`, which is Python in a file and is never run.

A lambda that only reads a column can be replaced by `prompt_column`. For any other lambda, make the column first. With images,
save the new column in a file in the same folder, because a frame has no `image_column`.
"""

from __future__ import annotations

import ast


def in_place_of(code: str, given: dict[str, object]) -> str:
    """The error's sentence, with a fix for the description `given` that contains it."""
    start = "dataset: prompt_lambda is code and is not run; "
    rest = {key: value for key, value in given.items() if key in ("image_column", "messages_column")}
    body = _body(code)
    if (key := _key(body)) is not None:
        return start + f"give prompt_column={key!r} in its place" + (", beside the image_column" if rest else "")
    column = _expression(body) or "pl.format('... {}', pl.col('...'))"
    if not rest.get("image_column"):
        return start + f"give a frame with the column in its place: dataset=frame.select(prompt={column})"
    return start + (
        f"save the file anew with such a column, frame.with_columns(prompt={column}).write_parquet('with_prompts.parquet') in "
        "the same folder, and describe it with prompt_column='prompt' and "
        f"image_column={rest['image_column']!r}, so that its images are sent too"
    )


def _body(code: str) -> object:
    try:
        tree = ast.parse(code.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return tree.body if isinstance(tree, ast.Lambda) else None


def _expression(body: object) -> str | None:
    """The polars expression for the body of a simple lambda; None if it is not simple."""
    if isinstance(body, ast.Constant) and isinstance(body.value, str):
        return f"pl.lit({body.value!r})"
    if not isinstance(body, ast.JoinedStr):
        return None
    parts = [v.value if isinstance(v, ast.Constant) else _key(v.value) for v in body.values]  # type: ignore[attr-defined]
    if not all(isinstance(part, str) for part in parts):
        return None
    held = [isinstance(v, ast.Constant) for v in body.values]
    text = "".join(str(part) if plain else "{}" for part, plain in zip(parts, held, strict=True))
    columns = [f"pl.col({part!r})" for part, plain in zip(parts, held, strict=True) if not plain]
    return f"pl.format({', '.join([repr(text), *columns])})"


def _key(node: object) -> str | None:
    """The key of `item["key"]`."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    return None

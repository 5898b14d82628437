"""What servers say about token counts -> one dict under OpenAI's names, and from it the counts that can be believed.

`usage` keeps what was said, word for word. The counts (`Counts`) are what the figures may use: a number that cannot be,
such as 0 output tokens beside a text, is null there, with a note, so that the tokenizer counts instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from basetenkit.findings import note

_RENAMED = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "prompt_eval_count": "prompt_tokens",
    "eval_count": "completion_tokens",
    "tokens_evaluated": "prompt_tokens",
    "tokens_predicted": "completion_tokens",
    "generated_tokens": "completion_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
_MOST = 1_000_000_000  # tokens; more than any model takes in or gives out


@dataclass(frozen=True, slots=True)
class Counts:
    """Token counts as reported by the server and believed; None where not reported or not believable."""

    prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None
    cached: int | None = None


def normalise(said: dict[str, Any]) -> dict[str, Any]:
    """`said` under OpenAI's names. Anthropic's input_tokens leave out what was cached, OpenAI's prompt_tokens do not."""
    if "prompt_tokens" in said or "completion_tokens" in said:
        return said
    usage = {_RENAMED.get(key, key): value for key, value in said.items()}
    cached, written = said.get("cache_read_input_tokens"), said.get("cache_creation_input_tokens")
    fresh = usage.get("prompt_tokens")
    if isinstance(fresh, int) and (_is_count(cached) or _is_count(written)):
        usage["prompt_tokens"] = fresh + (cached or 0) + (written or 0)
        usage["prompt_tokens_details"] = {"cached_tokens": cached or 0}
    return usage


def _shown(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, (int, float, str)) else f"of type {type(value).__name__}"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def believe(
    usage: dict[str, Any] | None, *, has_output: bool, limit: int | None, is_whole: bool = True
) -> tuple[Counts, list[str]]:
    """The counts in `usage` that can be, and notes on those that cannot. `limit`: the most output tokens allowed.

    Where the response is not whole (`is_whole` False) a count of the output so far stays as it was said.
    """
    if not usage:
        return Counts(), []
    notes: list[str] = []
    asked, given = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    reasoning = given.get("reasoning_tokens") if isinstance(given, dict) else None
    cached = asked.get("cached_tokens") if isinstance(asked, dict) else usage.get("cached_tokens")
    counts = Counts(
        prompt=_count(usage.get("prompt_tokens"), "prompt_tokens", notes, least=1),
        completion=_count(usage.get("completion_tokens"), "completion_tokens", notes, least=int(has_output)),
        reasoning=_count(usage.get("reasoning_tokens") if reasoning is None else reasoning, "reasoning_tokens", notes),
        cached=_count(cached, "cached_tokens", notes),
    )
    if is_whole and limit is not None and counts.completion is not None and counts.completion > limit:
        notes.append(note("over_max_tokens", value=counts.completion, limit=limit))
        counts = replace(counts, completion=None)
    return counts, notes


def _count(value: Any, what: str, notes: list[str], least: int = 0) -> int | None:
    """A count from a number or a string of digits; None, with a note, from anything else."""
    if value is None:
        return None
    number: int | None = None
    if _is_count(value):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    elif isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        number = int(value)
        notes.append(note("usage_text", what=what))
    if number is None or not least <= number <= _MOST:
        notes.append(note("usage_unusable", what=what, value=_shown(value)))
        return None
    return number

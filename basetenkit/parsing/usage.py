"""Token counts in servers' responses -> one dict with OpenAI's names, and from it the plausible counts.

`usage` keeps the reported counts unchanged. `UsageCounts` has the counts that figures may use: an impossible number, such as 0
output tokens for a text, is null there, with a note, so that the tokenizer counts instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeGuard

from basetenkit.core.notes import Note, note

_RENAMED = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "inputTokens": "prompt_tokens",
    "outputTokens": "completion_tokens",
    "totalTokens": "total_tokens",
    "promptTokens": "prompt_tokens",
    "completionTokens": "completion_tokens",
    "prompt_eval_count": "prompt_tokens",
    "eval_count": "completion_tokens",
    "tokens_evaluated": "prompt_tokens",
    "tokens_predicted": "completion_tokens",
    "generated_tokens": "completion_tokens",
    "promptTokenCount": "prompt_tokens",
    "totalTokenCount": "total_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}
_THINKING_KEYS = ("reasoning_tokens", "thinking_tokens")
_APART = 0.25  # of a count; two vocabularies count the same text so far apart
_MOST = 1_000_000_000  # tokens; more than any model takes in or gives out


@dataclass(frozen=True, slots=True)
class UsageCounts:
    """Token counts as reported by the server and believed; None if not reported or not believable.

    `above`: an output count above `limit`. Only who has the text's own count can tell whether it is true.
    """

    prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None
    cached: int | None = None
    above: int | None = field(default=None, compare=False)
    limit: int | None = field(default=None, compare=False)

    def is_confirmed_by(self, counted: int | None) -> bool:
        """True if the text has more tokens than were allowed by its own count, too, and about as many as reported."""
        if self.above is None or self.limit is None or counted is None or counted <= self.limit:
            return False
        return abs(counted - self.above) <= _APART * self.above


def merge(known: Mapping[str, object], said: Mapping[str, object]) -> dict[str, object]:
    """`known` with what a later message reports, key by key. Counts only grow, so a later null or 0 replaces no count."""
    out = dict(known)
    for key, value in said.items():
        name = _RENAMED.get(key, key)
        if name in known and key not in known and name not in said:
            key = name  # the same count under its other name
        before = out.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            out[key] = merge(before, value)
        elif before is None or not (value is None or (_is_number(value) and value == 0)):
            out[key] = value
    return out


def normalise(said: dict[str, object]) -> dict[str, object]:
    """`said` under OpenAI's names; if a count has both names, OpenAI's is used unless it is missing.

    Anthropic's input_tokens leave out what was cached, OpenAI's prompt_tokens do not. Gemini's candidates leave out its
    thoughts.
    """
    usage = {key: value for key, value in said.items() if key not in _RENAMED}
    for key, value in said.items():
        name = _RENAMED.get(key)
        if name is not None:
            usage[key if usage.get(name) else name] = value
    if not said.get("prompt_tokens"):
        _add_cached(said, usage)
    thought, candidates = said.get("thoughtsTokenCount"), said.get("candidatesTokenCount")
    if _is_count(candidates) and "completion_tokens" not in said:
        usage["completion_tokens"] = candidates + (thought if _is_count(thought) else 0)
    if _is_count(thought):
        usage["completion_tokens_details"] = {"reasoning_tokens": thought}
    if _is_count(said.get("cachedContentTokenCount")):
        usage["prompt_tokens_details"] = {"cached_tokens": said["cachedContentTokenCount"]}
    return usage


def _add_cached(said: dict[str, object], usage: dict[str, object]) -> None:
    cached, written = said.get("cache_read_input_tokens"), said.get("cache_creation_input_tokens")
    fresh = usage.get("prompt_tokens")
    if _is_count(fresh) and (_is_count(cached) or _is_count(written)):
        read = cached if _is_count(cached) else 0
        usage["prompt_tokens"] = fresh + read + (written if _is_count(written) else 0)
        usage["prompt_tokens_details"] = {"cached_tokens": read}


def _shown(value: object) -> str:
    return repr(value)[:40] if isinstance(value, (int, float, str)) else f"of type {type(value).__name__}"


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def validate_usage(
    usage: dict[str, object] | None, *, has_output: bool, limit: int | None, is_whole: bool = True
) -> tuple[UsageCounts, list[Note]]:
    """The counts in `usage` that can be, and notes on those that cannot. `limit`: the most output tokens allowed.

    If the response is not whole (`is_whole` False) a count of the output so far stays as it was reported.
    """
    if not usage:
        return UsageCounts(), []
    notes: list[Note] = []
    asked, given = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    given = given if isinstance(given, dict) else {}
    thought = next((given[key] for key in _THINKING_KEYS if given.get(key) is not None), None)
    cached = asked.get("cached_tokens") if isinstance(asked, dict) else usage.get("cached_tokens")
    counts = UsageCounts(
        prompt=_count(usage.get("prompt_tokens"), "prompt_tokens", notes, least=1),
        completion=_count(usage.get("completion_tokens"), "completion_tokens", notes, least=int(has_output)),
        reasoning=_count(usage.get("reasoning_tokens") if thought is None else thought, "reasoning_tokens", notes),
        cached=_count(cached, "cached_tokens", notes),
    )
    counts = _agreed(counts, _count(usage.get("total_tokens"), "total_tokens", []), notes)
    if is_whole and limit is not None and counts.completion is not None and counts.completion > limit:
        notes.append(note("over_max_tokens", value=counts.completion, limit=limit))
        counts = replace(counts, completion=None, above=counts.completion, limit=limit)
    return counts, notes


def _agreed(counts: UsageCounts, total: int | None, notes: list[Note]) -> UsageCounts:
    """`counts` without a contradiction between a part and its whole: reasoning and output, cached and prompt.

    Some servers count a part beside its whole. If the total proves that, the whole is their sum. If a part exceeds its whole
    and no total tells which of the two is wrong, neither is used.
    """
    prompt, completion = counts.prompt, counts.completion
    thought, cached = counts.reasoning or 0, counts.cached or 0
    whole = None if prompt is None or completion is None else prompt + completion
    if whole is not None and total is not None and total != whole:
        for more_out, more_in in ((thought, 0), (0, cached), (thought, cached)):
            if (more_out or more_in) and total == whole + more_out + more_in:
                return _summed(counts, more_out, more_in, total, notes)
    is_proven = whole is not None and total == whole
    if completion is not None and thought > completion:
        notes.append(_contradiction("reasoning_tokens", thought, "completion_tokens", completion))
        counts = replace(counts, reasoning=None, completion=completion if is_proven else None)
    if prompt is not None and cached > prompt:
        notes.append(_contradiction("cached_tokens", cached, "prompt_tokens", prompt))
        counts = replace(counts, cached=None, prompt=prompt if is_proven else None)
    return counts


def _contradiction(part: str, n: int, whole: str, of: int) -> Note:
    return note("part_of_count", part=part, n=n, whole=whole, of=of)


def _summed(counts: UsageCounts, more_out: int, more_in: int, total: int, notes: list[Note]) -> UsageCounts:
    if more_out:
        notes.append(note("count_beside", part="reasoning_tokens", n=more_out, whole="completion_tokens", total=total))
    if more_in:
        notes.append(note("count_beside", part="cached_tokens", n=more_in, whole="prompt_tokens", total=total))
    prompt, completion = (counts.prompt or 0) + more_in, (counts.completion or 0) + more_out
    return replace(counts, prompt=prompt, completion=completion)


def _count(value: object, what: str, notes: list[Note], least: int = 0) -> int | None:
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

"""Steps that need all events: repeated texts, the echo of the prompt, halves of characters."""

from __future__ import annotations

import re

from basetenkit.parsing.collector import CONTENT, REASONING, REFUSAL, Collector
from basetenkit.parsing.lenient import mend_surrogates

_GROWTHS = 2  # this often a text must begin with the one before it and go on
_LONG = 4  # characters; a piece of reasoning that long does not occur twice in a row by chance
_BEGIN_TOKENS = re.compile(r"(?:<s>|<bos>|<\|begin_of_text\|>|<\|startoftext\|>)?\s*")


def finalize(out: Collector, prompt: str | None) -> None:
    """Correct the event columns in place, and add notes. `prompt`: None to skip the search for an echo."""
    if not out.texts:
        _notes(out)
        return
    if out.can_repeat and not out.others:
        for kind in dict.fromkeys(out.kinds):
            _only_new(out, [i for i, k in enumerate(out.kinds) if k == kind], _needed(out, kind, prompt))
    if out.details:
        _once(out)
    if out.others:
        _first_choice(out)
    replaced = 0 if _is_clean(out.texts) else mend_surrogates(out.texts)
    if replaced:
        out.warn("decode_errors", n=replaced)
    if prompt:
        _cut_echo(out, prompt)
    _drop_empty(out)
    _notes(out)


def _needed(out: Collector, kind: str, prompt: str | None) -> int:
    """How often a text must grow before it is held for a repeat: never, in a dialect that is known to repeat."""
    if out.repeats:
        return 0
    texts = [text for text, k in zip(out.texts, out.kinds, strict=True) if k == kind]
    echoes = bool(prompt) and len(texts) > 1 and all(_after_echo(text, prompt or "") is not None for text in texts)
    return 0 if echoes else _GROWTHS


def _only_new(out: Collector, positions: list[int], needed: int) -> None:
    """If the texts at `positions` repeat, each the one before it, leaves in each only what is new."""
    texts = [out.texts[i] for i in positions]
    if len(texts) < 2 or not _is_cumulative(texts, needed):
        return
    before = ""
    for i, text in zip(positions, texts, strict=True):
        stable = text if i == positions[-1] else text.rstrip("\ufffd")
        out.texts[i] = stable[len(before) :]
        before = stable
    out.warn("cumulative")


def _is_cumulative(texts: list[str], needed: int) -> bool:
    """True if each text begins with the one before it. An unfinished character at a text's end is allowed to change."""
    growths, before = 0, ""
    for text in texts:
        if not text.startswith(before):
            return False
        growths += len(text) > len(before) > 0
        before = text.rstrip("\ufffd")
    return growths >= needed


def _once(out: Collector) -> None:
    """Reasoning in a list of details: in pieces, or all so far each time; and nothing that another key has brought."""
    first = out.texts[out.details[0]]
    _only_new(out, out.details, 1 if len(first) >= _LONG else _GROWTHS)
    listed = set(out.details)
    said = "".join(
        t for i, (t, k) in enumerate(zip(out.texts, out.kinds, strict=True)) if k == REASONING and i not in listed
    )
    for at, i in enumerate(out.details):
        before = "".join(out.texts[j] for j in out.details[:at])
        if at and before and out.texts[i] == before:
            out.texts[i] = ""
    text = "".join(out.texts[i] for i in out.details)
    if said and (text in said or said in text):
        for i in out.details:
            out.texts[i] = text[len(said) :] if i == out.details[-1] and text.startswith(said) else ""


def _first_choice(out: Collector) -> None:
    """Several choices: the text is of choice 0, or of the lowest there is; a lone one is simply the answer."""
    count = len(out.others) + 1
    if not any(out.texts):
        for position, text in out.others[min(out.others)].items():
            out.texts[position] = text
        count -= 1
    if count == 1:
        out.others.clear()
        return
    out.warn("several_choices", n=count)


def _is_clean(texts: list[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def _after_echo(text: str, prompt: str) -> int | None:
    """The index in `text` after the prompt, which begin tokens may precede; None if `text` does not begin with the prompt."""
    if text.startswith(prompt):
        return len(prompt)
    match = _BEGIN_TOKENS.match(text)
    begin = match.end() if match else 0
    return begin + len(prompt) if begin and text.startswith(prompt, begin) else None


def _cut_echo(out: Collector, prompt: str) -> None:
    """Takes the prompt off the front of the content."""
    length = _after_echo(out.text_of(CONTENT), prompt)
    if length is None:
        return
    out.warn("echo")
    for i, kind in enumerate(out.kinds):
        if kind == CONTENT and length:
            cut = min(length, len(out.texts[i]))
            out.texts[i], length = out.texts[i][cut:], length - cut


def _drop_empty(out: Collector) -> None:
    """An event whose text was only an echo or a repeat is not output. Events of other choices stay."""
    if all(out.texts):
        return
    others = {position for texts in out.others.values() for position in texts}
    kept = [i for i, text in enumerate(out.texts) if text or i in others]
    for name in ("texts", "kinds", "starts", "ends"):
        column = getattr(out, name)
        setattr(out, name, [column[i] for i in kept])


def _notes(out: Collector) -> None:
    if REFUSAL in out.kinds:
        out.warn("refusal")
    if out.finish_reason == "content_filter":
        out.warn("content_filter")
    if out.after_done:
        out.warn("after_done", n=out.after_done)

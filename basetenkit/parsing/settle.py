"""What can be told only when all events are there: texts that repeat, the prompt's echo, halves of characters."""

from __future__ import annotations

import re

from basetenkit.parsing.collector import CONTENT, REFUSAL, Collector
from basetenkit.parsing.lenient import mend_surrogates

_GROWTHS = 2  # this often a text must begin with the one before it and go on
_BEGIN_TOKENS = re.compile(r"(?:<s>|<bos>|<\|begin_of_text\|>|<\|startoftext\|>)?\s*")


def settle(out: Collector, prompt: str | None) -> None:
    """Mends the event columns in place, and notes what was done. `prompt`: None where an echo is not looked for."""
    if not out.texts:
        _notes(out)
        return
    if out.can_repeat and len(out.texts) > _GROWTHS and _is_cumulative(out.texts):
        _differences(out)
        out.warn("cumulative")
    if out.others:
        _first_choice(out)
    replaced = 0 if _is_clean(out.texts) else mend_surrogates(out.texts)
    if replaced:
        out.warn("decode_errors", n=replaced)
    if prompt:
        _cut_echo(out, prompt)
    _drop_empty(out)
    _notes(out)


def _is_cumulative(texts: list[str]) -> bool:
    """True where each text begins with the one before it. An unfinished character at a text's end is allowed to change."""
    growths, before = 0, ""
    for text in texts:
        if not text.startswith(before):
            return False
        growths += len(text) > len(before) > 0
        before = text.rstrip("\ufffd")
    return growths >= _GROWTHS


def _differences(out: Collector) -> None:
    before = ""
    last = len(out.texts) - 1
    for i, text in enumerate(out.texts):
        stable = text if i == last else text.rstrip("\ufffd")
        out.texts[i] = stable[len(before) :]
        before = stable


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


def _cut_echo(out: Collector, prompt: str) -> None:
    """Takes the prompt off the front of the content."""
    text = out.text_of(CONTENT)
    if text.startswith(prompt):
        length = len(prompt)
    else:
        match = _BEGIN_TOKENS.match(text)
        begin = match.end() if match else 0
        if not begin or not text.startswith(prompt, begin):
            return
        length = begin + len(prompt)
    out.warn("echo")
    for i, kind in enumerate(out.kinds):
        if kind == CONTENT and length:
            cut = min(length, len(out.texts[i]))
            out.texts[i], length = out.texts[i][cut:], length - cut


def _drop_empty(out: Collector) -> None:
    """An event whose text was only an echo or a repeat is no output. Those of other choices stay: they are."""
    if out.others or all(out.texts):
        return
    kept = [i for i, text in enumerate(out.texts) if text]
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
    if out.bad:
        out.warn("bad_message", n=out.bad, why=out.bad_why)

"""Why the token counts of a response differ, if the reason is known: requested, reported by the server, counted by the
tokenizer, output chunks.

Each reason is a note on the row. They are looked for in the order in which one explains away another: a token that the server
counts and the text has not is told before the rest is laid to another vocabulary. The prompt's echo and a count above the limit
are seen while the response is read, and are already there.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..core.notes import Note, note
from ..core.types import Outcome, Row

# Finish reasons that are not the model's own: it was cut at the limit, or by a filter.
AT_LIMIT, FILTERED = ("length", "max_tokens"), ("content_filter",)
# The note that says how many tokens the response itself marks as special, which are counted and are not in the text.
SPECIALS = "special_tokens"
# A difference of this share and less is the seam between chunks or a space: no vocabulary is suspected.
VOCABULARY_SHARE = 0.05


def token_notes(row: Mapping[str, object], *, streamed: bool, reasoning: bool, known: bool) -> list[Note]:
    """The notes of one row. `reasoning`: whether reasoning text came; `known`: whether echo or a count above the limit has
    explained the output already."""
    if row["outcome"] == Outcome.INCOMPLETE:
        return _truncated(row)
    if row["outcome"] != Outcome.OK or not row["output_chunks"]:
        return []
    out = _input(row)
    if row["output_tokens_server"] is None:
        return out if known else [*out, note("tokens_no_usage")]
    return out + ([] if known else _output(row, streamed, reasoning))


def _truncated(row: Row) -> list[Note]:
    got, asked = row["output_tokens"] or 0, row["output_tokens_target"]
    return [note("tokens_truncated", got=got, asked=asked)] if asked is not None and got < asked else []


def _input(row: Row) -> list[Note]:
    server, client = row["input_tokens_server"], row["input_tokens_client"]
    if server is None or client is None or server == client:
        return []
    if row.get("image_count"):  # what an image counts for is the model's own; the tokenizer sees the text alone
        return []
    if server > client:
        return [note("tokens_template", n=server - client)]
    if client - server <= VOCABULARY_SHARE * server:
        return []
    return [note("tokens_differ", what="input", server=server, client=client)]


def _output(row: Row, streamed: bool, reasoning: bool) -> list[Note]:
    server, client, hidden = row["output_tokens_server"], row["output_tokens_client"], row["reasoning_tokens"] or 0
    out: list[Note] = []
    if hidden and not reasoning:
        out.append(note("tokens_hidden_reasoning", n=hidden))
        server -= hidden
    extra = server - client if client is not None else 0
    if 0 < extra <= _specials(row):
        out.append(note("tokens_special", n=extra))
        server -= extra
    elif abs(extra) > VOCABULARY_SHARE * max(server, 1):
        out.append(note("tokens_differ", what="output", server=server, client=client))
    if streamed and server > row["output_chunks"]:
        out.append(note("tokens_chunked", tokens=server, chunks=row["output_chunks"]))
    return out


def _specials(row: Row) -> int:
    """How many tokens without text something bears out: those that the response marks as special, or else the end mark of a
    model that ended by itself."""
    found = [note.fields["n"] for note in row.get("notes") or () if note.code == SPECIALS]
    reason = (row["finish_reason"] or "").lower()
    ended = int(bool(reason) and reason not in (*AT_LIMIT, *FILTERED))
    return max(found, default=ended)

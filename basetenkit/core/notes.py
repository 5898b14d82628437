"""Notes on one response or on a configuration: each has a code and its figures. The table below has the texts, which are made
when somebody looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Note:
    """A remark about one response: `code`, which is stable, and its figures by name. Its text is made when it is shown.

    >>> str(note("first_message", n=5, tokens=20))
    'first_message: 5 of 20 tokens were in the first message: TPOT covers the other tokens'
    """

    code: str
    fields: Mapping[str, object] = field(default_factory=dict, hash=False)

    @property
    def sentence(self) -> str:
        fields = dict(self.fields)
        if self.code == "over_max_tokens":
            counted = fields.get("counted")
            fields["verdict"] = "not used" if counted is None else f"used, because the text counts {counted}"
        return NOTES[self.code].format(**fields)

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


# code -> sentence; the names in braces are filled in when it is shown.
NOTES: dict[str, str] = {
    "no_done": "the stream ended without [DONE]; it has a finish_reason, so it counts as complete",
    "completion_unverified": "a plain-text stream has no end marker: a response that broke off looks the same",
    "decode_errors": "{n} byte(s) were not valid UTF-8 and were replaced",
    "bom": "a byte order mark at the start was removed",
    "after_done": "{n} message(s) came after [DONE] and were ignored",
    "unwrapped": "the text was extracted from a JSON string ({levels} level(s))",
    "gathered": "one JSON string contained a whole stream; it was read as {what}, without times",
    "not_streamed": "a stream was requested, but the response is one whole document: TTFT is not measured",
    "echo": "the response begins with the prompt; only the text after it counts as output",
    "cumulative": "each event repeats the text so far; only the new part counts",
    "several_choices": "the response has {n} choices; the text is that of choice 0, tokens are the sum",
    "array": "the body is an array of {n} items; the text is that of the first",
    "number": "the body is a bare number or boolean, taken as text",
    "field": "the text was taken from {path}",
    "response_path": "the text was taken from response_path {path}",
    "refusal": "the model refused; the refusal counts as output",
    "content_filter": "the content filter ended the response",
    "stray_line": "the event stream has a line that is neither a field nor a comment: {text}",
    "framed_twice": "messages had two prefixes (data: data: ...); both were removed",
    "lenient_json": "the body is not strict JSON ({why}) but could be read",
    "duplicate_keys": "a JSON object has the same key twice; the last value counts",
    "trailing_text": "text follows the JSON document and was ignored",
    "usage_unusable": "the reported {what} is {value}, which is impossible; it was not used",
    "usage_text": "the reported {what} is a string; it was read as a number",
    "encoded": "the body was {encoding}-encoded although identity was requested; times are those of the encoded bytes",
    "redirected": "the endpoint redirected this request ({n} time(s)); times start at the send that got the response",
    "sent_again": "the server closed a reused connection before it sent a byte, so the request was sent {n} times; times start at "
    "the send that got the response",
    "out_of_order": "segments of this connection arrived out of order, so a time may be earlier than its timestamp",
    "length_ahead": "the header has the stream's length, so it was complete before it was sent: TTFT and TPOT are not measured",
    "first_message": "{n} of {tokens} tokens were in the first message: TPOT covers the other tokens",
    "few_times": "{n} output events arrived at {times} time(s): a server or gateway buffered them and sent several together",
    "same_time": "{n} output events arrived in one read: the gaps between them are not known",
    "tokens_no_usage": "the server reported no output tokens: the tokenizer counted the text",
    "tokens_template": "the server counts {n} more input tokens than the prompt's text has: chat template, or special tokens",
    "tokens_hidden_reasoning": "{n} reasoning tokens are in the server's count but not in the text",
    "special_tokens": "{n} token(s) of the response are special tokens: they are counted but are not in the text",
    "tokens_special": "the server counts {n} more output token(s) than the text has, such as an end-of-text token",
    "tokens_chunked": "{tokens} tokens came in {chunks} chunks: a gap between chunks covers several tokens",
    "tokens_truncated": "the response broke off after {got} of {asked} tokens",
    "tokens_differ": "the server counts {server} {what} tokens and the tokenizer {client}: its vocabulary is not the model's",
    "over_max_tokens": "the server reported {value} tokens, more than the limit of {limit}; {verdict}",
    "part_of_count": "{n} {part} cannot be part of {of} {whole}: the impossible count was not used",
    "count_beside": "total_tokens ({total}) shows that {n} {part} were counted separately from {whole}, which is now their sum",
    "index_missing": "embeddings have no index; they were taken in the order received",
    "dimensions_differ": "the embeddings do not all have the same dimension ({sizes})",
    "not_finite": "{n} embedding(s) contain NaN or infinite numbers",
    "flag_idle": "{flag} has no effect here: {why}",
    "nested_embedding": "embeddings are matrices with one row per token; the first row's length is the dimension",
}


def note(code: str, **fields: object) -> Note:
    """The note `code` about one response, with its figures. KeyError if there is no such code."""
    if code not in NOTES:
        raise KeyError(code)
    return Note(code, fields)

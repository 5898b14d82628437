"""Every note on one response, or on the making of a run: a code and its figures. Its words stand in the table below, once, and
are made when somebody looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know of one response: `code`, which is stable, and its figures by name. Its text is made when it is shown.

    >>> str(note("first_message", n=5, tokens=20))
    'first_message: 5 of 20 tokens came in the first message: TPOT is of the other tokens'
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
    "no_done": "the stream ended without [DONE]; a finish_reason was seen, so it counts as whole",
    "completion_unverified": "a plain-text stream has no end mark: a model that died in the middle looks the same",
    "decode_errors": "{n} byte(s) were no UTF-8 and were replaced",
    "bom": "a byte order mark at the start was dropped",
    "after_done": "{n} message(s) came after [DONE] and were ignored",
    "unwrapped": "the text was inside a JSON string ({levels} level(s)) and was taken out",
    "gathered": "a whole stream came gathered in one JSON string; it was read as {what}, without times",
    "not_streamed": "a stream was asked for, and one whole document came: TTFT is not measured",
    "echo": "the response begins with the prompt; only what follows counts as output",
    "cumulative": "each event repeats the text so far; only what is new in it counts",
    "several_choices": "{n} choices came; the text is of choice 0, tokens are the sum",
    "array": "the body is an array of {n}; the text is of the first",
    "number": "the body is a bare number or boolean, taken as text",
    "field": "the text was taken from {path}",
    "response_path": "the text was taken from response_path {path}",
    "refusal": "the model refused: the refusal is its output",
    "content_filter": "the content filter ended the response",
    "stray_line": "the event stream has a line that is no field and no comment: {text}",
    "framed_twice": "messages were framed twice (data: data: ...) and were unframed once more",
    "lenient_json": "the body is not strict JSON ({why}) and was read all the same",
    "duplicate_keys": "a key stands twice in one JSON object; the last one counts",
    "trailing_text": "text follows the JSON document and was ignored",
    "usage_unusable": "the reported {what} is {value}, which cannot be: it was not used",
    "usage_text": "the reported {what} is a string, and was read as a number",
    "encoded": "the body came {encoding}-encoded though identity was asked for; times are of the encoded bytes",
    "redirected": "the endpoint sent this request on ({n} time(s)); the clock starts at the send that was answered",
    "sent_again": "the server closed a kept connection before a byte of an answer, so the request was sent {n} times; times count "
    "from the send that was answered",
    "out_of_order": "segments of this connection came out of order, so a time may lie earlier than its stamp",
    "length_ahead": "the head told the stream's length, so all of it was there before it was sent: TTFT and TPOT are not measured",
    "first_message": "{n} of {tokens} tokens came in the first message: TPOT is of the other tokens",
    "few_times": "{n} output events came at {times} time(s): something held them back and sent several together",
    "same_time": "{n} output events came in one read: their spacing is not known",
    "tokens_no_usage": "the server reported no output tokens: the tokenizer counted the text",
    "tokens_template": "the server counts {n} more input tokens than the prompt's text has: the chat template, or special tokens",
    "tokens_hidden_reasoning": "{n} reasoning tokens are in the server's count and not in the text",
    "special_tokens": "{n} token(s) of the response are marked as special: they are counted and are not in the text",
    "tokens_special": "the server counts {n} more output token(s) than the text has, such as an end mark",
    "tokens_chunked": "{tokens} tokens came in {chunks} chunks: a gap between chunks is of several tokens",
    "tokens_truncated": "the response broke off after {got} of {asked} tokens",
    "tokens_differ": "server and tokenizer count {server} and {client} {what} tokens: another vocabulary than the model's",
    "over_max_tokens": "the server reported {value} where {limit} was the most; {verdict}",
    "part_of_count": "{n} {part} cannot be a part of {of} {whole}: what cannot be was not used",
    "count_beside": "total_tokens ({total}) shows that {n} {part} were counted beside {whole}, which is now their sum",
    "index_missing": "embeddings came without an index; their order was taken as it came",
    "dimensions_differ": "the embeddings do not all have the same dimension ({sizes})",
    "not_finite": "{n} embedding(s) hold NaN or infinite numbers",
    "flag_idle": "{flag} does nothing here: {why}",
    "nested_embedding": "embeddings came as a matrix of one row a token; the first row's length is the dimension",
}


def note(code: str, **fields: object) -> Note:
    """The note `code` about one response, with its figures. KeyError if there is no such code."""
    if code not in NOTES:
        raise KeyError(code)
    return Note(code, fields)

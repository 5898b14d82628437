"""Known kinds of files that contain no prompts: each is refused by name, and the error says what to use instead.

They have a column that looks like one of prompts, or none at all. If the user names a column with `prompt_column` or
`messages_column`, the file is not refused.
"""

from __future__ import annotations

from ..core.errors import DataError
from .table import Table, same

_INPUT = "give the file of requests that the batch was made from"
_FORMS = (  # columns that must all be there, what the file is, what to do
    ({"customid", "response"}, "the output of a batch: answers and no requests", _INPUT),
    ({"customid", "result"}, "the results of a batch: answers and no requests", _INPUT),
    (
        {"requestid", "ttfts", "outcome"},
        "the requests of a saved run, whose prompts are not kept",
        "give the data set of that run",
    ),
    (
        {"requestthroughput", "meanttftms"},
        "the result of a benchmark and no prompts",
        "give the data set that it was measured with",
    ),
    ({"aggregatedmetrics"}, "a result of genai-bench and no prompts", "bk.read_genai_bench(folder) reads results"),
    ({"benchmarks", "metadata"}, "a result of GuideLLM and no prompts", "give the data set that it was measured with"),
)
_SPEAKERS, _SAID = ("role", "from", "speaker", "author", "sender"), ("content", "text", "value", "message")
_USERS = {"user", "human", "prompter"}


def refuse(table: Table) -> None:
    """DataError if the table is of a form that holds no prompts."""
    names = {same(column) for column in table.columns}
    for columns, what, cure in _FORMS:
        if columns <= names:
            raise DataError(f"dataset: {table.name} is {what}; {cure}")
    speaker, said = table.named(*_SPEAKERS), table.named(*_SAID)
    if speaker is None or said is None or names & {"prompt", "instruction"}:
        return
    others = [x for x in table.column(speaker) if isinstance(x, str) and x.strip().casefold() not in _USERS]
    if others:
        raise DataError(
            f"dataset: each row of {table.name} is one message of a conversation, some of {others[0]!r}; put the messages of each "
            f"conversation into one row as a list `messages`, or give prompt_column={said!r} to send each as a prompt"
        )

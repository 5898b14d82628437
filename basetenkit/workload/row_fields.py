"""The fields of a data set's row other than its prompt: a system prompt, a limit on the output, tools, sampling parameters.

They are sent with the row's own request; `request_params` replace them. Upper and lower case and dividers in names do not
matter. A value of the wrong kind is not sent and is counted. If a row is the whole body of a request (a line of a batch file,
or a logged body), all its fields are sent except those that the run decides: the model, streaming, and fields that name a
person or an account.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .speakers import text_of
from .table import Table, Unfit, opened, same, without_none

LIMIT = "max_tokens"
SYSTEMS = (
    "system",
    "systemprompt",
    "systemmessage",
    "sysprompt",
    "systeminstruction",
    "systeminstructions",
    "instructions",
)
LIMITS = (
    "maxtokens", "maxcompletiontokens", "maxoutputtokens", "maxnewtokens", "maxtokenstosample", "maxgenlen", "maxgentokens",
    "maxresponsetokens", "npredict", "numpredict", "outputtokens", "outputlength", "outputlen", "expectedoutputlen",
    "expectedoutputlength", "expectedoutputtokens", "numoutputtokens", "outputtokencount", "outputtokenscount",
    "outputsequencelength", "osl", "completiontokens", "completionlength", "numcompletiontokens", "responsetokens",
    "responselength", "generatedtokens", "generationlength", "genlen", "decodetokens", "targetoutputtokens",
)  # fmt: skip
BODIES = ("body", "params", "request", "requestbody", "payload")
_NESTED = ("samplingparams", "parameters", "generationconfig", "samplingparameters")
_ENVELOPE = ("customid", "method", "url", "key", "id")
_TEXTS = ("messages", "prompt", "input", "inputs", "contents", "text")
# What the run decides, and what names a person or an account.
_NEVER = (
    "model", "stream", "streamoptions", "user", "metadata", "store", "safetyidentifier", "servicetier", "background", "apikey",
    "promptcachekey", "previousresponseid", "extraheaders", "extrabody",
)  # fmt: skip


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise ValueError
    if not isinstance(value, (int, float, str)):
        raise ValueError
    number = float(value)
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError
    return (
        value
        if isinstance(value, (int, float))
        else int(number)
        if number.is_integer() and "." not in value
        else number
    )


def _whole(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _switch(value: object) -> bool:
    if isinstance(value, str) and value.strip().casefold() in ("true", "false"):
        return value.strip().casefold() == "true"
    if not isinstance(value, bool):
        raise ValueError
    return value


def _word(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


def _structure(value: object) -> object:
    found = without_none(opened(value))
    if not isinstance(found, (dict, list)) or not found:
        raise ValueError
    return found


def _either(value: object) -> object:
    """A word, or what it stands for: "auto" or an object, one stop text or a list of them."""
    return _structure(value) if not isinstance(opened(value), str) else _word(value)


def _tools(value: object) -> object:
    """Tools as the chat API takes them, each under `function`."""
    tools = _structure(value)
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise ValueError
    bare = [tool for tool in tools if "name" in tool and "function" not in tool]
    return [
        {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}} if tool in bare else tool
        for tool in tools
    ]


_KINDS: dict[Callable[[object], object], tuple[str, ...]] = {
    _number: (
        "temperature", "top_p", "min_p", "typical_p", "presence_penalty", "frequency_penalty", "repetition_penalty",
        "length_penalty",
    ),
    _whole: ("top_k", "min_tokens"),
    _switch: ("parallel_tool_calls", "ignore_eos", "include_reasoning", "skip_special_tokens"),
    _word: ("reasoning_effort", "guided_regex", "guided_grammar"),
    _structure: (
        "functions", "response_format", "logit_bias", "stop_token_ids", "chat_template_kwargs", "guided_json", "guided_choice",
        "structured_outputs",
    ),
    _either: ("tool_choice",),
    _tools: ("tools",),
}  # fmt: skip
# Names that mean something else in a data set that is not of request bodies.
_OF_BODIES = {
    "stop": _either,
    "seed": _whole,
    "n": _whole,
    "best_of": _whole,
    "logprobs": without_none,
    "top_logprobs": _whole,
}
PARAMS = {same(name): (name, read_row_fields) for read_row_fields, names in _KINDS.items() for name in names}


@dataclass(eq=False)
class Fields:
    """What the rows say beside their texts. `systems` and `params` have an entry for each row, or none at all; `used`: what
    each column that is sent is sent as; `unusable`: how many values of a column are not of its kind and are not sent."""

    systems: Sequence[str] = ()
    params: Sequence[dict[str, object]] = ()
    used: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, int] = field(default_factory=dict)


def is_known(column: str) -> bool:
    """Whether a column is one that is read here if it is there."""
    return same(column) in (*SYSTEMS, *LIMITS, *PARAMS, "model")


def unpacked(table: Table) -> Table:
    """The table of the bodies that a table of requests holds, if it does; with sampling parameters beside the other fields."""
    column = table.named(*BODIES)
    if column is not None:
        bodies = [without_none(opened(value)) for value in table.column(column)]
        held = [body if isinstance(body, dict) else {} for body in bodies]
        if any(_has_text(body) for body in held):
            outer = [name for name in table.columns if name != column and same(name) not in _ENVELOPE]
            beside = {name: table.column(name) for name in outer}
            rows = [{name: values[at] for name, values in beside.items()} | body for at, body in enumerate(held)]
            inner = dict.fromkeys(key for body in held for key in body)
            apart = tuple(name for name in outer if name not in inner)
            made = Table.of_rows(rows, table.name, table.unit, table.numbers, bodies=True, apart=apart)
            return _flat(made)
    return _flat(table)


def _has_text(body: dict[str, object]) -> bool:
    return any(same(key) in _TEXTS for key in body)


def _flat(table: Table) -> Table:
    """The table with the fields of an object of sampling parameters as columns."""
    column = table.named(*_NESTED)
    if column is None:
        return table
    inner = [without_none(opened(value)) for value in table.column(column)]
    if not any(
        isinstance(one, dict) and any(same(key) in PARAMS or same(key) in LIMITS for key in one) for one in inner
    ):
        return table
    rows = table.rows()
    for row, one in zip(rows, inner, strict=True):
        row.pop(column, None)
        row.update({key: value for key, value in one.items() if key not in row} if isinstance(one, dict) else {})
    return Table.of_rows(rows, table.name, table.unit, table.numbers, bodies=table.bodies, apart=table.apart)


def read_row_fields(table: Table, texts: Sequence[str]) -> Fields:
    """What the rows of a table say beside `texts`, the columns of their prompts, messages and images."""
    found = Fields()
    _read_systems(table, texts, found)
    params: list[dict[str, object]] = [{} for _ in range(table.height)]
    for column, name, take in _columns(table, texts, found):
        taken = 0
        for at, value in enumerate(table.column(column)):
            if value is None or (isinstance(value, str) and not value.strip()):
                continue
            try:
                params[at][name] = take(value)
                taken += 1
            except (ValueError, TypeError, OverflowError):
                found.unusable[column] = found.unusable.get(column, 0) + 1
        if taken:
            found.used[column] = name
    found.params = params if any(params) else ()
    return found


def _read_systems(table: Table, texts: Sequence[str], found: Fields) -> None:
    column = table.named(*SYSTEMS)
    if column is None or column in texts:
        return
    systems = []
    for value in table.column(column):
        try:
            systems.append(text_of(opened(value) if isinstance(value, str) and not value.strip() else value))
        except Unfit:
            systems.append("")
            found.unusable[column] = found.unusable.get(column, 0) + 1
    if any(text.strip() for text in systems):
        found.systems = systems
        found.used[column] = "system"


def _columns(table: Table, texts: Sequence[str], found: Fields) -> list[tuple[str, str, Callable[[object], object]]]:
    """(column, the field that it is sent as, how its values are read)."""
    chosen: list[tuple[str, str, Callable[[object], object]]] = []
    limit, of_bodies = table.named(*LIMITS), table.bodies or table.named("model") is not None
    for column in table.columns:
        key = same(column)
        if column in texts or column in found.used:
            continue
        if column == limit:
            chosen.append((column, LIMIT, _limit))
        elif key in PARAMS:
            chosen.append((column, *PARAMS[key]))
        elif column in _OF_BODIES and of_bodies:
            chosen.append((column, column, _OF_BODIES[column]))
        elif table.bodies and column not in table.apart and key not in (*_NEVER, *LIMITS, *SYSTEMS, *_TEXTS):
            chosen.append((column, column, without_none))
    return chosen


def _limit(value: object) -> int:
    if (limit := _whole(value)) < 1:
        raise ValueError
    return limit

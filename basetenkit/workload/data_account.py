"""Which parts of a data set are sent: saved with its entries, and reported by a run's findings.

A row that is left out and a column that is not sent change what is measured, and nobody sees it in the figures. So each is
named once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ..config.run_config import RunConfig
from ..config.scenarios import parse_scenario
from ..config.tasks import TASKS
from ..core.types import JsonObject
from .payload import carries_own_text, uses_prompt_format
from .row_fields import LIMIT, Fields
from .table import LeftOut, Table

_SHOWN = 12


@dataclass(frozen=True)
class Account:
    """`rows` in all, `left_out` of them, for the reasons `why`; `texts`: the columns of prompts, messages, images; `used`: what
    each further column is sent as; `unsent`: columns that are not sent; `unusable`: how many values of a column are not;
    `first_line`: the first line of a CSV if it is not known to be a header, and `header`: whether it was taken as one."""

    rows: int = 0
    left_out: int = 0
    why: str = ""
    texts: Sequence[str] = ()
    used: Mapping[str, str] = field(default_factory=dict)
    unsent: Sequence[str] = ()
    unusable: Mapping[str, int] = field(default_factory=dict)
    first_line: str | None = None
    header: bool = True


def of(table: Table, left: LeftOut, fields: Fields, texts: Sequence[str], keys: Collection[str]) -> Account:
    """The account of a table whose columns `texts` are sent; `keys`: those of its messages that are not."""
    sent = {*texts, *fields.used, *fields.unusable}
    unsent = [column for column in table.columns if column not in sent and _is_filled(table.column(column))]
    unsent += [*table.unread, *(f"{texts[0]}.{key}" for key in sorted(keys))]
    return Account(
        table.height, len(left), left.why(), texts, fields.used, unsent, fields.unusable, table.first_line, table.header
    )


def _is_filled(values: Sequence[object]) -> bool:
    return any(value is not None and value != "" and value != [] for value in values)


def account_events(config: RunConfig, account: Account) -> list[JsonObject]:
    """The account as events of a run: a finding's code and fields each. `lost`: something was meant to be sent and is not."""
    found = []
    if account.left_out:
        fields: dict[str, object] = {"n": account.left_out, "rows": account.rows, "why": account.why}
        found.append({"code": "data_left_out", "fields": fields, "lost": True})
    needing = [text for text in config.scenarios if parse_scenario(text).needs_data]
    if not needing or carries_own_text(config):
        return found
    if account.first_line is not None:
        done = "was taken as the name of its column and is not sent" if account.header else "is sent as a prompt"
        fields = {"line": account.first_line[:80], "done": done}
        found.append({"code": "data_header", "fields": fields, "lost": account.header})
    lost = _lost(config, account, needing)
    unsent = [f"{column} ({why})" for column, why in lost.items()] + [x for x in account.unsent if x not in lost]
    if unsent:
        sent = [*account.texts, *(column for column in account.used if column not in lost)]
        fields = {"sent": ", ".join(sent) or "its images", "unsent": _listed(unsent)}
        found.append({"code": "data_unsent", "fields": fields, "lost": bool(lost)})
    return found


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _lost(config: RunConfig, account: Account, scenarios: Sequence[str]) -> dict[str, str]:
    """The columns that are known, and not sent or not sent whole, each with the reason."""
    embeds = not TASKS[config.task].generates
    given = {"max_tokens" if name == config.endpoint.max_tokens_key else name for name in config.request_params}
    sized = [text for text in scenarios if parse_scenario(text).fixed_output]
    lost = {}
    for column, name in account.used.items():
        if embeds:
            lost[column] = "a request for embeddings has no place for it"
        elif name == "system" and uses_prompt_format(config):
            lost[column] = "the prompt format has no place for it"
        elif name in given:
            lost[column] = "request_params give it"
        elif name == LIMIT and sized:
            lost[column] = f"{sized[0]} sets the length"
    for column, n in account.unusable.items():
        lost.setdefault(column, f"{n} value{'s are' if n > 1 else ' is'} not what such a field takes")
    return lost

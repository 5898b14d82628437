"""Which parts of a data set are sent, under each configuration."""

from __future__ import annotations

from typing import Any

import pytest

import basetenkit as bk
from basetenkit.workload.data_account import Account, account_events

from ..making import config

ACCOUNT = Account(4, 0, "", ("prompt",), {"sys": "system", "len": "max_tokens", "t": "temperature"}, ("id",))
PROMPT = bk.Endpoint(url="http://127.0.0.1:9/", request_format="prompt")


@pytest.mark.parametrize(
    ("fields", "unsent", "lost"),
    [
        ({}, "id", False),
        ({"scenarios": "RDC(20)"}, "len (RDC(20) sets the length), id", True),
        ({"endpoint": PROMPT}, "sys (the prompt format has no place for it), id", True),
        ({"request_params": {"temperature": 1}}, "t (request_params give it), id", True),
        ({"request_params": {"max_tokens": None}}, "len (request_params give it), id", True),
        ({"task": "text-to-embeddings"}, "sys (a request for embeddings has no place for it), len (a request", True),
    ],
)
def test_each_column_that_is_not_sent_is_named_with_the_reason(fields: dict[str, Any], unsent: str, lost: bool) -> None:
    (event,) = account_events(config(dataset="x.csv", **({"scenarios": "dataset"} | fields)), ACCOUNT)
    assert event["fields"]["unsent"].startswith(unsent)
    assert (event["code"], event["lost"]) == ("data_unsent", lost)


@pytest.mark.parametrize("fields", [{"scenarios": "D(9,9)"}, {"request_params": {"messages": []}}])
def test_nothing_is_said_of_columns_when_the_entries_are_not_sent(fields: dict[str, Any]) -> None:
    assert account_events(config(dataset="x.csv", **({"scenarios": "dataset"} | fields)), ACCOUNT) == []


def test_rows_that_were_left_out_come_first_and_many_columns_are_counted() -> None:
    account = Account(4, 2, "nothing is asked (rows 1 and 2)", ("p",), unsent=[f"c{i}" for i in range(20)])
    left, unsent = account_events(config(dataset="x.csv", scenarios="dataset"), account)
    assert (left["code"], left["fields"]["n"], left["fields"]["rows"]) == ("data_left_out", 2, 4)
    assert unsent["fields"]["unsent"].endswith("c11 and 8 more")

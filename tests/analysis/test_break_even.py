from __future__ import annotations

from collections.abc import Iterator

import pytest

import basetenkit as bk
from basetenkit.core.errors import ConfigError
from tests.making import number

DEDICATED = bk.Price(usd_per_minute=0.6, replicas=2, source="a contract", as_of="2026-11-28")
SHARED = bk.Price(usd_per_million_input=1.0, usd_per_million_output=4.0, source="a price list")


@pytest.fixture(scope="module")
def run() -> Iterator[bk.Run]:
    with bk.emulator.serve(ttft_ms=10, itl_ms=1) as server:
        endpoint = bk.Endpoint(url=server.url, model="m")
        config = bk.RunConfig(
            endpoint=endpoint, scenarios="U(20,60)/(5,20)", concurrency=2, max_requests=40, steady=False
        )
        yield bk.run_sync(config)


def test_the_break_even_is_where_both_bills_are_equal(run: bk.Run) -> None:
    found = bk.break_even(run, DEDICATED, SHARED)
    row = found.frame.row(0, named=True)
    assert number(found.value) * row["usd_per_request"] == pytest.approx(72.0 / 3600)
    assert number(found.low) < number(found.value) < number(found.high)
    assert row["reached"] is False or row["highest_per_s"] >= number(found.value)
    assert bool(found.caveats) is (row["reached"] is False)
    assert "a contract, 2026-11-28" in repr(found)
    free = bk.break_even(run, bk.Price(usd_per_minute=1e-9), SHARED)
    assert free.frame["reached"].to_list() == [True]
    assert free.caveats == []
    with pytest.raises(ConfigError, match="`dedicated` must be"):
        bk.break_even(run, SHARED, SHARED)
    with pytest.raises(ConfigError, match="`shared` must be"):
        bk.break_even(run, DEDICATED, DEDICATED)

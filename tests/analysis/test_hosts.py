"""Which machine is slower than its network explains."""

from __future__ import annotations

import polars as pl
import pytest

from basetenkit.analysis.hosts import by_host_name, of_hosts

from .test_diagnosis import seen_from


def test_the_machine_that_is_slower_is_named_with_its_figures() -> None:
    (found,) = of_hosts("here", seen_from({"a": 0.0, "b": 0.0, "c": 0.4}))
    assert (found.code, found.fields["host"]) == ("host_slower", "c")
    assert found.fields["own_ms"] == pytest.approx(550, abs=15)
    assert found.fields["others_ms"] == pytest.approx(150, abs=15)
    assert " ms (p50) from c and " in found.sentence


def test_machines_that_are_alike_and_one_alone_are_not_told() -> None:
    assert list(of_hosts("", seen_from({"a": 0.0, "b": 0.0}))) == []
    assert list(of_hosts("", seen_from({"a": 0.4}))) == []


def test_what_the_network_explains_is_not_told() -> None:
    rows = seen_from({"near": 0.0, "far": 0.2})
    assert [f.fields["host"] for f in of_hosts("", rows)] == ["far"]
    far = rows.with_columns(rtt_s=pl.when(pl.col("host") == "far").then(0.09).otherwise(0.001))
    assert list(of_hosts("", far)) == []


def test_several_workers_of_one_host_are_told_apart_by_their_ports() -> None:
    rows = pl.DataFrame({"host": ["a", "a", "b", None], "worker": ["tcp://x:1", "tcp://x:2", "tcp://y:1", None]})
    assert by_host_name(rows)["from"].to_list() == ["a :1", "a :2", "b"]

"""The same endpoint measured from several machines: the figures of each, and which one differs by more than its network
explains."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import polars as pl

from ..core.findings import Finding, finding
from .metrics import METRICS, observed, percentile

ROUND_TRIPS = 3  # a request takes one on a kept connection, and up to three with a new one (TCP, TLS)


def by_host_name(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of a cluster's machines with `from`: the host, and the worker's port if several Dask workers are on it. Rows that no
    cluster sent are left out."""
    rows = rows.filter(pl.col("worker").is_not_null())
    workers = rows.select("host", "worker").unique().sort("host", "worker")
    several = set(workers.group_by("host").len().filter(pl.col("len") > 1)["host"])
    names = [
        f"{host} :{urlsplit(worker).port}" if host in several else str(host) for host, worker in workers.iter_rows()
    ]
    named = workers.with_columns(pl.Series("from", names, pl.String))
    return rows.join(named, on=["host", "worker"], how="left", maintain_order="left")


def of_hosts(where: str, window: pl.DataFrame) -> Iterator[Finding]:
    """A finding for each machine whose median TTFT (E2E if nothing is streamed) is apart from that of the others together: the
    intervals of both leave a gap that is more than the difference of their network round trips explains."""
    rows = by_host_name(window)
    hosts = sorted(rows["from"].unique())
    metric = METRICS["ttft_s" if rows["ttft_s"].count() else "e2e_s"]
    for host in hosts if len(hosts) > 1 else ():
        here, others = (rows.filter(pl.col("from") == host), rows.filter(pl.col("from") != host))
        own, rest = (percentile(*observed(metric, part), 50) for part in (here, others))
        if own.low is None or rest.high is None or own.value is None or rest.value is None:
            continue
        trips = [trip for part in (here, others) if isinstance(trip := part["rtt_s"].median(), float)]
        network = max(trips[0] - trips[1], 0.0) if len(trips) == 2 else 0.0
        if own.low - rest.high > ROUND_TRIPS * network:
            figures = {"own_ms": own.value * 1e3, "others_ms": rest.value * 1e3, "network_ms": network * 1e3}
            yield finding("host_slower", where=where, host=host, metric=metric.title, **figures)

"""What a cluster may be, over which connections a key may go, and which versions are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from distributed import Client, LocalCluster

from basetenkit.core.errors import ConfigError, WorkerError
from basetenkit.execution.cluster import connecting, stage


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("tls://10.0.0.1:8786", True),
        ("tcp://127.0.0.1:8786", True),
        ("tcp://[::1]:8786", True),
        ("tcp://localhost:8786", True),
        ("inproc://10.0.0.1/1/1", True),
        ("tcp://10.0.0.1:8786", False),
        ("tcp://scheduler.example:8786", False),
        ("ws://10.0.0.1:8786", False),
    ],
)
def test_a_key_goes_only_over_what_is_encrypted_or_stays_here(address: str, may: bool) -> None:
    assert connecting.may_carry_secrets(address) is may


def test_a_host_is_allowed_by_its_name_and_no_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(connecting.ALLOW_PLAIN, "10.0.0.1, scheduler.example")
    assert connecting.may_carry_secrets("tcp://10.0.0.1:8786")
    assert connecting.may_carry_secrets("tcp://scheduler.example:8786")
    assert not connecting.may_carry_secrets("tcp://10.0.0.2:8786")


@pytest.mark.parametrize("given", [7, {}, "10.0.0.1:8786", "http://10.0.0.1:8786", ""])
def test_what_is_no_cluster_is_refused_with_what_would_be(given: object) -> None:
    with pytest.raises(ConfigError, match=r"distributed\.Client") as told:
        connecting.check_cluster(given)
    assert "\n" not in str(told.value)


def test_a_client_a_cluster_and_an_address_are_taken(cluster: LocalCluster, client: Client) -> None:
    for given in (cluster, client, cluster.scheduler_address, "local"):
        connecting.check_cluster(given)


async def asked(cluster: Any) -> list[connecting.Machine]:
    async with connecting.connected(cluster) as client:
        return await connecting.machines(client)


def test_each_worker_is_asked_what_it_is(cluster: LocalCluster, client: Client) -> None:
    found = asyncio.run(asked(client))
    assert [machine.address for machine in found] == sorted(client.scheduler_info(n_workers=-1)["workers"])
    assert {machine.host for machine in found} == {str(stage.facts()["host"])}
    assert {machine.threads for machine in found} == {1}


def test_a_worker_with_another_version_is_refused_and_named(client: Client) -> None:
    versions = client.get_versions()
    ours = stage.facts()
    connecting.check_versions(versions, ours)
    address = next(iter(versions["workers"]))
    for name, other in (("distributed", "2024.12.0"), ("msgpack", "0.1")):
        theirs = {name: other}
        changed = {**versions, "workers": {address: {**versions["workers"][address], "packages": theirs}}}
        with pytest.raises(WorkerError, match=f"{address} has {name} {other}, and this machine {ours[name]}"):
            connecting.check_versions(changed, ours)

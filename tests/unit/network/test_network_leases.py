"""Who gets which address, also when everybody asks at once."""

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from network_service_lab import Lab, lab

from lodge.drivers.network.errors import NetworkFailedError
from lodge.services.networks.errors import (
    AddressTakenError,
    InvalidMacError,
    MacInUseError,
    NetworkFullError,
    NetworkNotFoundError,
)

Scenario = Callable[[Lab], Coroutine[Any, Any, None]]
Play = Callable[[Scenario], None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def run(scenario: Scenario) -> None:
        async def whole() -> None:
            async with lab(tmp_path) as made:
                await made.create("blue", ipv4="10.9.0.2/28", ipv6="fd00:9::1/64")
                await scenario(made)

        asyncio.run(whole())

    return run


def test_addresses_are_given_lowest_first_around_the_gateway(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        given = [await lab.networks.reserve("blue", f"vm{n}", "eth0") for n in range(3)]
        assert [one.ipv4 for one in given] == ["10.9.0.1", "10.9.0.3", "10.9.0.4"]
        assert all(one.mac.startswith("52:54:00:") for one in given)
        assert len({one.mac for one in given}) == len({one.ipv6 for one in given}) == 3
        await lab.networks.release("vm1")
        assert (await lab.networks.reserve("blue", "late", "eth0")).ipv4 == "10.9.0.3"
        told = lab.driver.leases_of(lab.networks.get("blue"))
        assert {one.instance for one in told} == {"vm0", "vm2", "late"}

    play(scenario)


def test_reserving_again_gives_the_same_lease(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        mac = "52:54:00:AA:00:01"
        first = await lab.networks.reserve("blue", "web1", "eth0", mac)
        before = lab.written()
        assert await lab.networks.reserve("blue", "web1", "eth0", mac) == first
        assert await lab.networks.reserve("blue", "web1", "eth0") == first
        assert lab.written() == before
        assert first.mac == "52:54:00:aa:00:01"
        assert first.ipv6 == "fd00:9::5054:ff:feaa:1"

    play(scenario)


def test_another_mac_for_a_nic_replaces_its_lease(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.networks.reserve("blue", "web1", "eth0", "52:54:00:aa:00:01")
        second = await lab.networks.reserve("blue", "web1", "eth0", "52:54:00:aa:00:02")
        assert second.ipv4 == "10.9.0.1"
        assert [one.mac for one in lab.networks.leases("blue")] == ["52:54:00:aa:00:02"]
        await lab.networks.reserve("blue", "web2", "eth0", "52:54:00:aa:00:01")

    play(scenario)


def test_many_at_once_get_different_addresses_until_the_network_is_full(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        asked = [lab.networks.reserve("blue", f"vm{n}", "eth0") for n in range(20)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        refused = [one for one in results if isinstance(one, BaseException)]
        given = [one.ipv4 for one in results if not isinstance(one, BaseException)]
        assert len(given) == len(set(given)) == 13
        assert len(refused) == 7
        for error in refused:
            assert isinstance(error, NetworkFullError)
            assert error.details["addresses"] == 13
        told = lab.driver.leases_of(lab.networks.get("blue"))
        assert sorted(one.ipv4 or "" for one in told) == sorted(one or "" for one in given)
        subnet = ipaddress.ip_network("10.9.0.0/28")
        forbidden = {str(subnet[0]), str(subnet[-1]), "10.9.0.2"}
        assert not forbidden & set(given)

    play(scenario)


def test_a_wanted_address_is_given_or_refused(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        reserve = lab.networks.reserve
        assert (await reserve("blue", "a", "eth0", ipv4="10.9.0.9")).ipv4 == "10.9.0.9"
        for text in ("10.9.0.9", "10.9.0.2", "10.9.0.0", "10.9.0.15", "10.8.0.1", "x", "fd00::1"):
            with pytest.raises(AddressTakenError) as refused:
                await reserve("blue", "b", "eth0", ipv4=text)
            assert text in refused.value.message
        assert len(lab.networks.leases("blue")) == 1

    play(scenario)


def test_a_mac_belongs_to_one_nic(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.networks.reserve("blue", "web1", "eth0", "52:54:00:aa:00:01")
        with pytest.raises(MacInUseError):
            await lab.networks.reserve("blue", "web2", "eth0", "52:54:00:aa:00:01")
        with pytest.raises(InvalidMacError):
            await lab.networks.reserve("blue", "web2", "eth0", "01:00:5e:00:00:01")
        assert len(lab.networks.leases("blue")) == 1

    play(scenario)


def test_release_frees_every_nic_of_an_instance_and_only_its(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create("red")
        for network, nic in (("blue", "eth0"), ("blue", "eth1"), ("red", "eth2")):
            await lab.networks.reserve(network, "web1", nic)
        other = await lab.networks.reserve("blue", "web10", "eth0")
        await lab.networks.release_nic("web1", "eth1")
        assert len(lab.networks.leases("blue")) == 2
        await lab.networks.release("web1")
        await lab.networks.release("web1")
        assert lab.networks.leases("blue") == [other]
        assert lab.networks.leases("red") == []
        assert [key for key in lab.written() if key.startswith(("addresses/", "macs/"))] == [
            f"addresses/blue/{other.ipv4}",
            f"macs/{other.mac}",
        ]

    play(scenario)


def test_a_renamed_instance_keeps_its_addresses(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        before = await lab.networks.reserve("blue", "old", "eth0")
        for _ in range(2):
            await lab.networks.rename("old", "new")
        (after,) = lab.networks.leases("blue")
        assert (after.instance, after.ipv4, after.mac) == ("new", before.ipv4, before.mac)
        assert lab.driver.leases_of(lab.networks.get("blue")) == (after,)

    play(scenario)


def test_nothing_is_reserved_in_a_network_that_is_not_there(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        with pytest.raises(NetworkNotFoundError):
            await lab.networks.reserve("green", "web1", "eth0")
        with pytest.raises(NetworkNotFoundError):
            lab.networks.leases("green")
        with pytest.raises(NetworkNotFoundError):
            lab.networks.open_port("green", "p", "52:54:00:00:00:01", uid=1)

    play(scenario)


def test_release_works_while_the_network_is_broken_and_reserve_tells(play: Play) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.networks.reserve("blue", "web1", "eth0")
        lab.driver.faults.errors["set_leases"] = [NetworkFailedError("a"), NetworkFailedError("b")]
        await lab.networks.release("web1")
        assert lab.networks.leases("blue") == []
        with pytest.raises(NetworkFailedError):
            await lab.networks.reserve("blue", "web2", "eth0")
        # The lease is kept, so that asking again (a resumed task) succeeds with the same address.
        again = await lab.networks.reserve("blue", "web2", "eth0")
        assert again.ipv4 == "10.9.0.1"
        assert lab.driver.leases_of(lab.networks.get("blue")) == (again,)

    play(scenario)


def test_leases_outlive_the_daemon(tmp_path: Path) -> None:
    async def whole() -> None:
        async with lab(tmp_path) as before:
            await before.create("blue")
            first = await before.networks.reserve("blue", "web1", "eth0")
        async with lab(tmp_path) as after:
            await after.networks.ensure_all()
            assert await after.networks.reserve("blue", "web1", "eth0") == first
            second = await after.networks.reserve("blue", "web2", "eth0")
            assert second.ipv4 != first.ipv4

    asyncio.run(whole())

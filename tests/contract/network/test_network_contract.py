"""The promises every network driver keeps; a new one adds itself to DRIVERS."""

import asyncio
import os
import stat
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from network_lab import bridge, lease, network, on_private_host_async

from lodge.drivers.network.contract import NetworkDriver
from lodge.drivers.network.errors import AddressInUseError, NetworkFailedError, PortBusyError
from lodge.drivers.network.fake.driver import FakeNetworks
from lodge.model.network import NetworkKind

Scenario = Callable[[NetworkDriver], Coroutine[Any, Any, None]]
Play = Callable[[Scenario], None]


def _on_fake(scenario: Scenario) -> None:
    asyncio.run(scenario(FakeNetworks(host_prefixes=["127.0.0.0/8"])))


def _on_bridge(scenario: Scenario) -> None:
    on_private_host_async(lambda: scenario(bridge()))


DRIVERS: dict[str, Play] = {"fake": _on_fake, "bridge": _on_bridge}


@pytest.fixture(
    params=["fake", pytest.param("bridge", marks=pytest.mark.root)],
)
def play(request: pytest.FixtureRequest) -> Play:
    return DRIVERS[request.param]


@pytest.mark.parametrize("kind", NetworkKind, ids=str)
def test_a_network_is_down_until_ensured_and_after_removal(play: Play, kind: NetworkKind) -> None:
    async def scenario(driver: NetworkDriver) -> None:
        blue = network(kind=kind)
        before = await driver.status(blue)
        assert (before.is_up, before.dns_answers) == (False, False)
        assert before.reason
        await driver.ensure(blue, [lease("web1", 15)])
        up = await driver.status(blue)
        assert (up.is_up, up.dns_answers, up.reason) == (True, True, "")
        await driver.remove(blue)
        assert not (await driver.status(blue)).is_up

    play(scenario)


def test_everything_done_twice_is_done_once(play: Play) -> None:
    async def scenario(driver: NetworkDriver) -> None:
        blue = network()
        for _ in range(2):
            await driver.ensure(blue, [lease("web1", 15)])
            await driver.set_leases(blue, [lease("web1", 15), lease("web2", 16)])
            await driver.set_leases(blue, [lease("web1", 15), lease("web2", 16)])
        assert (await driver.status(blue)).dns_answers
        for _ in range(2):
            await driver.close_port(blue, "p1")
            await driver.remove(blue)
        await driver.close_port(blue, "p1")
        await driver.close()

    play(scenario)


def test_a_network_that_is_up_counts_as_used_but_does_not_clash_with_itself(play: Play) -> None:
    async def scenario(driver: NetworkDriver) -> None:
        blue, red = network(), network("red", ipv6=None)
        await driver.check(blue)
        await driver.ensure(blue, [])
        assert {"10.217.0.0/24", "fd12:3456:789a::/64"} <= set(await driver.used_prefixes())
        await driver.check(blue)
        with pytest.raises(AddressInUseError) as refused:
            await driver.check(red)
        assert refused.value.where == "ipv4"
        assert refused.value.details["taken"] == "10.217.0.0/24"
        await driver.remove(blue)
        await driver.check(red)
        assert "10.217.0.0/24" not in await driver.used_prefixes()

    play(scenario)


def test_a_port_needs_its_network_and_is_held_by_its_descriptor(play: Play) -> None:
    async def scenario(driver: NetworkDriver) -> None:
        blue, mac = network(), "52:54:00:00:00:0f"
        with pytest.raises(NetworkFailedError):
            driver.open_port(blue, "p1", mac, uid=600_000)
        await driver.ensure(blue, [])
        first = driver.open_port(blue, "p1", mac, uid=600_000)
        assert stat.S_IFMT(os.fstat(first).st_mode)
        with pytest.raises(PortBusyError):
            driver.open_port(blue, "p1", mac, uid=600_000)
        other = driver.open_port(blue, "p2", mac, uid=600_000)
        os.close(first)
        again = driver.open_port(blue, "p1", mac, uid=600_000)
        await driver.close_port(blue, "p1")
        after = driver.open_port(blue, "p1", mac, uid=600_000)
        for handle in (other, again, after):
            os.close(handle)
        await driver.close()

    play(scenario)


def test_leases_of_a_network_that_is_down_wait_for_it(play: Play) -> None:
    async def scenario(driver: NetworkDriver) -> None:
        blue = network()
        await driver.set_leases(blue, [lease("web1", 15)])
        assert not (await driver.status(blue)).is_up

    play(scenario)


def test_two_networks_are_brought_up_at_once(play: Play) -> None:
    async def scenario(driver: NetworkDriver) -> None:
        blue = network()
        red = network("red", ipv4="10.218.0.1/24", ipv6="fd12:3456:789b::1/64")
        await asyncio.gather(driver.ensure(blue, []), driver.ensure(red, []))
        for one in (blue, red):
            assert (await driver.status(one)).reason == ""
        await driver.remove(blue)
        assert (await driver.status(red)).reason == ""

    play(scenario)


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_network_may_have_one_address_family_only(play: Play, family: str) -> None:
    async def scenario(driver: NetworkDriver) -> None:
        only = network(**{"ipv6" if family == "ipv4" else "ipv4": None})
        gone = {"ipv6" if family == "ipv4" else "ipv4": None}
        await driver.ensure(only, [lease("web1", 15, **gone)])
        assert (await driver.status(only)).reason == ""
        await driver.remove(only)

    play(scenario)

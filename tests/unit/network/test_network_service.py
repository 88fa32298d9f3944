"""Creating, deleting and keeping networks, over the fake driver."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from network_service_lab import ACTOR, Lab, lab
from virtual_world import settle

from lodge.base.errors import LodgeError
from lodge.base.names import InvalidNameError
from lodge.drivers.network.errors import (
    AddressInUseError,
    Ipv6MissingError,
    NetworkFailedError,
    NetworkToolMissingError,
)
from lodge.drivers.network.fake.driver import FakeNetworks
from lodge.model.network import NetworkCreate, NetworkKind, NetworkState
from lodge.model.task import TaskState
from lodge.services.networks.errors import (
    InvalidDomainError,
    InvalidNetworkSpecError,
    InvalidPrefixError,
    NetworkExistsError,
    NetworkInUseError,
    NetworkNotFoundError,
    PrefixOverlapError,
)
from lodge.services.networks.upkeep import LOOK_INTERVAL_S

Scenario = Callable[[Lab], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., None]:
    def run(scenario: Scenario, **options: Any) -> None:
        async def whole() -> None:
            async with lab(tmp_path, **options) as made:
                await scenario(made)

        asyncio.run(whole())

    return run


def test_a_network_without_wishes_gets_free_addresses_and_runs(play: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        made = await lab.create()
        assert (made.ipv4, made.domain, made.mtu) == ("10.217.0.1/18", "lodge", 1500)
        assert made.ipv6 is not None
        assert made.ipv6.startswith("fd")
        assert made.state is NetworkState.READY
        assert (await lab.networks.status("default")).dns_answers
        second = await lab.create("second")
        assert second.ipv4 == "10.217.64.1/18"
        assert second.ipv6 != made.ipv6
        assert [one.name for one in lab.networks.list()] == ["default", "second"]

    play(scenario)


def test_wishes_are_kept(play: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        made = await lab.create(
            "lab-1", kind=NetworkKind.ISOLATED, ipv4="10.9.0.254/24", ipv6="none",
            domain="lab.example", mtu=9000, description="for tests",
        )  # fmt: skip
        assert (made.ipv4, made.ipv6, made.domain) == ("10.9.0.254/24", None, "lab.example")
        assert (made.kind, made.mtu, made.description) == (NetworkKind.ISOLATED, 9000, "for tests")
        only6 = await lab.create("six", ipv4="none", ipv6="fd00:6::1/64")
        assert (only6.ipv4, only6.ipv6) == (None, "fd00:6::1/64")

    play(scenario)


REFUSED: dict[str, tuple[dict[str, Any], type[LodgeError], str]] = {
    "name": ({"name": "a/b"}, InvalidNameError, "name"),
    "upper case": ({"name": "Blue"}, InvalidNameError, "name"),
    "reserved": ({"name": "none"}, InvalidNameError, "name"),
    "taken": ({"name": "default"}, NetworkExistsError, "networks/default"),
    "network address": ({"ipv4": "10.1.0.0/24"}, InvalidPrefixError, "ipv4"),
    "too small": ({"ipv4": "10.1.0.1/31"}, InvalidPrefixError, "ipv4"),
    "not a prefix": ({"ipv4": "ten"}, InvalidPrefixError, "ipv4"),
    "ipv6 length": ({"ipv6": "fd00::1/48"}, InvalidPrefixError, "ipv6"),
    "of the host": ({"ipv4": "192.0.2.129/25"}, AddressInUseError, "ipv4"),
    "of another": ({"ipv4": "10.217.1.1/24"}, PrefixOverlapError, "ipv4"),
    "domain": ({"domain": "my_domain"}, InvalidDomainError, "domain"),
    "empty domain": ({"domain": ""}, InvalidDomainError, "domain"),
    "mDNS": ({"domain": "local"}, InvalidDomainError, "domain"),
    "no addresses": ({"ipv4": "none", "ipv6": "none"}, InvalidNetworkSpecError, "ipv4"),
    "mtu": ({"mtu": 1200, "ipv6": "fd00::1/64"}, InvalidNetworkSpecError, "mtu"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_is_refused_with_its_place_and_leaves_nothing(
    play: Callable[..., None], case: str
) -> None:
    wanted, error, where = REFUSED[case]

    async def scenario(lab: Lab) -> None:
        await lab.create()
        before = lab.written()
        with pytest.raises(error) as refused:
            await lab.networks.create(NetworkCreate(**{"name": "blue", **wanted}), ACTOR)
        assert refused.value.where == where
        assert lab.written() == before
        assert len(lab.tasks.list()) == 1

    play(scenario)


def test_a_small_mtu_means_no_ipv6_unless_it_was_asked_for(play: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        assert (await lab.create(mtu=1200)).ipv6 is None

    play(scenario)


def test_a_kernel_without_ipv6_gives_a_network_without_unless_it_was_asked_for(
    play: Callable[..., None],
) -> None:
    missing = Ipv6MissingError("this host's kernel runs without IPv6", where="ipv6")

    async def scenario(lab: Lab) -> None:
        lab.driver.faults.errors["check"] = [missing]
        with pytest.raises(Ipv6MissingError):
            await lab.networks.create(NetworkCreate(name="b", ipv6="fd00:5::1/64"), ACTOR)
        lab.driver.faults.errors["check"] = [missing]
        task = await lab.networks.create(NetworkCreate(name="blue"), ACTOR)
        assert task.error is None

    play(scenario)


def test_missing_programs_refuse_the_request_before_it_is_a_task(
    play: Callable[..., None],
) -> None:
    async def scenario(lab: Lab) -> None:
        lab.driver.faults.errors["check"] = [NetworkToolMissingError("networks need dnsmasq")]
        with pytest.raises(NetworkToolMissingError):
            await lab.networks.create(NetworkCreate(name="blue"), ACTOR)
        assert lab.tasks.list() == []

    play(scenario)


def test_a_network_that_does_not_come_up_is_undone_wholly(play: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        lab.driver.faults.errors["ensure"] = [NetworkFailedError("dnsmasq ended: no")]
        task = await lab.networks.create(NetworkCreate(name="blue"), ACTOR)
        ended = await lab.tasks.wait(task.id)
        assert ended.state is TaskState.FAILED
        assert ended.error is not None
        assert ended.error["code"] == "network_failed"
        assert lab.written() == []
        assert await lab.driver.used_prefixes() == ["192.0.2.0/24"]
        await lab.create("blue")

    play(scenario)


def test_two_creates_of_one_name_or_one_prefix_at_once_make_one(
    play: Callable[..., None],
) -> None:
    async def scenario(lab: Lab) -> None:
        lab.driver.faults.hanging["ensure"] = asyncio.Event()
        wishes = [
            NetworkCreate(name="blue", ipv4="10.1.0.1/24"),
            NetworkCreate(name="blue", ipv4="10.2.0.1/24"),
            NetworkCreate(name="red", ipv4="10.1.0.129/25"),
            NetworkCreate(name="green"),
            NetworkCreate(name="brown"),
        ]
        tasks = [await lab.networks.create(wish, ACTOR) for wish in wishes]
        await settle()
        lab.driver.faults.hanging.pop("ensure").set()
        ended = [await lab.tasks.wait(task.id) for task in tasks]
        codes = [None if task.error is None else task.error["code"] for task in ended]
        assert codes == [None, "network_exists", "prefix_overlap", None, None]
        chosen = {one.name: one.ipv4 for one in lab.networks.list()}
        assert chosen["blue"] == "10.1.0.1/24"
        assert chosen["green"] != chosen["brown"]

    play(scenario)


def test_a_used_network_is_not_deleted_and_its_users_are_named(
    play: Callable[..., None],
) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create()
        await lab.networks.reserve("default", "web1", "eth0")
        with pytest.raises(NetworkInUseError, match="instances/web1") as refused:
            await lab.networks.delete("default", ACTOR)
        assert refused.value.details["count"] == 1
        await lab.networks.release("web1")
        assert (await lab.delete()).state is TaskState.DONE
        assert lab.written() == []
        assert await lab.driver.used_prefixes() == ["192.0.2.0/24"]
        with pytest.raises(NetworkNotFoundError):
            await lab.networks.delete("default", ACTOR)

    play(scenario)


def test_a_network_that_a_profile_names_is_not_deleted(play: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create()
        with pytest.raises(NetworkInUseError, match="profiles/default"):
            await lab.networks.delete("default", ACTOR)

    play(scenario, users=["profiles/default"])


def test_an_address_reserved_while_the_deletion_waits_wins_and_the_network_stays(
    play: Callable[..., None],
) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create()
        reserving = asyncio.create_task(lab.networks.reserve("default", "web1", "eth0"))
        deleting = asyncio.create_task(lab.networks.delete("default", ACTOR))
        results = await asyncio.gather(reserving, deleting, return_exceptions=True)
        if isinstance(results[1], BaseException):
            assert isinstance(results[1], NetworkInUseError)
        else:
            await lab.tasks.wait(results[1].id)
        has_lease = not isinstance(results[0], BaseException)
        left = [one.state for one in lab.networks.list()]
        assert left == ([NetworkState.READY] if has_lease else [])

    play(scenario)


def test_a_deletion_that_fails_brings_the_network_back(play: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        await lab.create()
        lab.driver.faults.errors["remove"] = [NetworkFailedError("the kernel refused")]
        ended = await lab.delete()
        assert ended.state is TaskState.FAILED
        assert lab.networks.get("default").state is NetworkState.READY
        assert (await lab.networks.status("default")).is_up

    play(scenario)


def test_a_new_daemon_adopts_every_network_even_if_one_fails(tmp_path: Path) -> None:
    async def whole() -> None:
        async with lab(tmp_path) as before:
            await before.create("blue")
            await before.create("red")
            await before.networks.reserve("red", "web1", "eth0")
        rebooted = FakeNetworks()
        async with lab(tmp_path, driver=rebooted) as after:
            rebooted.faults.errors["ensure"] = [NetworkFailedError("no")]
            failures = await after.networks.ensure_all()
            assert list(failures) == ["blue"]
            red = after.networks.get("red")
            assert [one.instance for one in rebooted.leases_of(red)] == ["web1"]
            assert await after.networks.repair() == ["blue"]
            assert await after.networks.repair() == []

    asyncio.run(whole())


def test_the_watch_repairs_a_broken_network_and_tells_once(play: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        made = await lab.create()
        watching = asyncio.create_task(lab.networks.watch())
        await settle()
        lab.driver.ensured.clear()
        await lab.world.pass_time(3 * LOOK_INTERVAL_S)
        assert lab.driver.ensured == []
        lab.driver.break_down(made)
        assert not (await lab.networks.status("default")).is_up
        lab.driver.faults.errors["ensure"] = [NetworkFailedError("not yet")]

        def kinds() -> list[str]:
            return [event.kind for event in lab.events.since(0)]

        async with asyncio.timeout(20):
            while "network.repaired" not in kinds():
                await lab.world.pass_time(LOOK_INTERVAL_S)
                await asyncio.sleep(0.005)
        assert (await lab.networks.status("default")).is_up
        await lab.world.pass_time(3 * LOOK_INTERVAL_S)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert kinds().count("network.repaired") == 1
        assert "network.broken" in kinds()

    play(scenario)


def test_a_network_being_deleted_is_not_repaired_into_being(play: Callable[..., None]) -> None:
    async def scenario(lab: Lab) -> None:
        made = await lab.create()
        gate = lab.driver.faults.hanging["remove"] = asyncio.Event()
        task = await lab.networks.delete("default", ACTOR)
        lab.driver.break_down(made)
        async with asyncio.timeout(20):
            while lab.networks.get("default").state is not NetworkState.DELETING:
                await asyncio.sleep(0.001)
        repairing = asyncio.create_task(lab.networks.repair())
        await settle()
        gate.set()
        await lab.tasks.wait(task.id)
        assert await repairing == []
        assert await lab.driver.used_prefixes() == ["192.0.2.0/24"]

    play(scenario)

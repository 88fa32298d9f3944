"""The daemon dies at every point of creating and deleting a network; the next one cleans up."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from network_service_lab import ACTOR
from task_lab import Daemon, Pieces, daemon
from virtual_world import VirtualWorld

from lodge.drivers.network.errors import NetworkFailedError
from lodge.drivers.network.fake.driver import FakeNetworks
from lodge.model.network import NetworkCreate, NetworkState
from lodge.model.task import Task
from lodge.services.networks.service import Networks

MOST_POINTS = 100
WISH = NetworkCreate(name="blue", ipv4="10.9.0.1/24")


def _networks(life: Daemon, driver: FakeNetworks, seed: int) -> Networks:
    return Networks(life.store, life.engine, driver, VirtualWorld(seed=seed))


async def _first_life(folder: Path, driver: FakeNetworks, verb: str, number: int) -> Daemon:
    if verb == "delete":
        async with daemon(folder, Pieces(), world=VirtualWorld(seed=9)) as calm:
            task = await _networks(calm, driver, 1).create(WISH, ACTOR)
            assert (await calm.engine.wait(task.id)).error is None
    async with daemon(folder, Pieces(), dies_at=lambda _p, count: count == number) as life:
        networks = _networks(life, driver, 2)
        if verb == "create fails":
            driver.faults.errors["ensure"] = [NetworkFailedError("dnsmasq ended")]
        try:
            asked = (
                networks.delete("blue", ACTOR) if verb == "delete" else networks.create(WISH, ACTOR)
            )
            await life.ended_or_dead(await asked)
        except BaseException as error:
            if not life.died.is_set():
                raise error
        return life


async def _next_life(folder: Path, driver: FakeNetworks) -> list[Task]:
    """Recover, wait for everything; record and reality must agree then."""
    async with daemon(folder, Pieces()) as life:
        networks = _networks(life, driver, 3)
        await life.engine.recover()
        ended = await life.all_ended()
        await networks.ensure_all()
        assert life.locks() == []
        there = networks.list()
        assert [one.state for one in there] == [NetworkState.READY] * len(there)
        up = [text for text in await driver.used_prefixes() if "." in text]
        assert up == (["10.9.0.0/24"] if there else [])
        assert len(await driver.used_prefixes()) == 2 * len(there)
        if there:
            assert (await networks.status("blue")).is_up
            await networks.reserve("blue", "web1", "eth0")
        return ended


@pytest.mark.parametrize("verb", ["create", "create fails", "delete"])
def test_a_death_at_any_point_leaves_a_whole_network_or_none(verb: str) -> None:
    async def walk() -> int:
        for number in range(1, MOST_POINTS):
            with tempfile.TemporaryDirectory() as folder:
                driver = FakeNetworks()
                life = await _first_life(Path(folder), driver, verb, number)
                died = life.died.is_set() and len(life.points) >= number
                await _next_life(Path(folder), driver)
            if not died:
                return number
        raise AssertionError("a task has no end of kill points")

    assert asyncio.run(walk()) > 8

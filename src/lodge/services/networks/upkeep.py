"""Keep what is real equal to what is recorded: bring up, pass leases on, repair, take down.

One lock per network makes sure that a network being deleted is not repaired into being again.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.drivers.network.contract import NetworkDriver
from lodge.model.network import Network, NetworkState
from lodge.services.networks.registry import NetworkRegistry
from lodge.store.events import EventLog

__all__ = ["LOOK_INTERVAL_S", "Upkeep"]

LOOK_INTERVAL_S: Final = 5.0
"""How often each network is looked at."""

_LOOKS_PER_ADOPTION = 60
"""Every so many looks all is ensured anew: the host's name servers or routes may have changed."""

_log = logging.getLogger(__name__)


@dataclass
class _Turn:
    """Whose turn it is with one network, and up to which wish its leases were passed on."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: int = 0
    done: int = 0


class Upkeep:
    """What the driver is asked to do, one thing at a time per network."""

    def __init__(
        self,
        registry: NetworkRegistry,
        driver: NetworkDriver,
        world: World,
        events: EventLog | None = None,
    ) -> None:
        self._events = events
        self._registry = registry
        self._driver = driver
        self._world = world
        self._turns: dict[str, _Turn] = {}
        self._troubles: dict[str, str] = {}

    async def bring_up(self, network: Network) -> None:
        """Bring up a network of the task that creates it (or takes its deletion back)."""
        async with self._turn(network.name).lock:
            await self._driver.ensure(network, self._registry.leases_in(network.name))

    async def take_down(self, network: Network) -> None:
        """Take a network down without a trace."""
        async with self._turn(network.name).lock:
            await self._driver.remove(network)
        self._turns.pop(network.name, None)
        self._troubles.pop(network.name, None)

    async def pass_leases_on(self, name: str) -> None:
        """Tell the driver the leases as they are now; many wishes at once become one."""
        turn = self._turn(name)
        turn.asked += 1
        mine = turn.asked
        async with turn.lock:
            if turn.done >= mine:
                return
            covered = turn.asked
            network = self._registry.networks.get(name)
            if network is not None and network.state is NetworkState.READY:
                await self._driver.set_leases(network, self._registry.leases_in(name))
            turn.done = covered

    async def ensure_all(self) -> Mapping[str, LodgeError]:
        """Bring up or adopt every network; one that fails does not keep others from coming up.

        Returns the failures by name; each is tried again by the watch.
        """
        failures: dict[str, LodgeError] = {}
        for network in self._registry.all():
            try:
                await self._ensure_if_ready(network.name)
            except LodgeError as error:
                failures[network.name] = error
                await self._note_trouble(network.name, error.message)
        return failures

    async def watch(self) -> None:
        """Look at every network now and then, and repair what is broken; runs until cancelled."""
        looks = 0
        while True:
            await self._world.sleep(LOOK_INTERVAL_S)
            looks += 1
            if looks % _LOOKS_PER_ADOPTION == 0:
                await self.ensure_all()
            else:
                await self.repair()

    async def repair(self) -> list[str]:
        """Look at every network once; return the names of those that were repaired."""
        ready = [one for one in self._registry.all() if one.state is NetworkState.READY]
        return [network.name for network in ready if await self._repair_one(network)]

    async def _repair_one(self, network: Network) -> bool:
        try:
            seen = await self._driver.status(network)
            if seen.is_up and seen.dns_answers:
                return False
            await self._note_trouble(network.name, seen.reason)
            await self._ensure_if_ready(network.name)
        except LodgeError as error:
            await self._note_trouble(network.name, error.message)
            return False
        self._troubles.pop(network.name, None)
        _log.warning("network %s was repaired: %s", network.name, seen.reason)
        await self._tell("network.repaired", network.name, seen.reason)
        return True

    async def _ensure_if_ready(self, name: str) -> None:
        async with self._turn(name).lock:
            network = self._registry.networks.get(name)
            if network is not None and network.state is NetworkState.READY:
                await self._driver.ensure(network, self._registry.leases_in(name))

    async def _note_trouble(self, name: str, reason: str) -> None:
        """Tell a trouble once, not every time it is seen."""
        if self._troubles.get(name) != reason:
            self._troubles[name] = reason
            _log.error("network %s: %s", name, reason)
            await self._tell("network.broken", name, reason)

    async def _tell(self, kind: str, name: str, reason: str) -> None:
        if self._events is None:
            return
        try:
            await self._events.publish(kind, f"networks/{name}", {"reason": reason})
        except LodgeError as error:  # a full disk must not keep a network from its repair
            _log.error("the event %s of network %s is lost: %s", kind, name, error.message)

    def _turn(self, name: str) -> _Turn:
        return self._turns.setdefault(name, _Turn())

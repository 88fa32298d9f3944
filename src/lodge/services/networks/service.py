"""Networks as the API and the instances' tasks see them."""

from collections.abc import Callable, Mapping, Sequence

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.drivers.network.contract import NetworkDriver
from lodge.model.network import Lease, Network, NetworkCreate, NetworkStatus
from lodge.model.task import Actor, Task
from lodge.services.networks.create import CreateNetwork
from lodge.services.networks.delete import DeleteNetwork, DeleteNetworkParams
from lodge.services.networks.leases import Leases
from lodge.services.networks.registry import NetworkRegistry
from lodge.services.networks.upkeep import Upkeep
from lodge.store.contract import Store
from lodge.store.events import EventLog
from lodge.tasks.contract import Tasks

__all__ = ["Networks"]


def _nobody(_name: str) -> Sequence[str]:
    return ()


class Networks:
    """What can be done with networks.

    ``other_users`` names, for a network's name, what refers to it beside instances, such as
    ``profiles/default``. ``events`` hears of networks that broke and were repaired.
    """

    def __init__(
        self,
        store: Store,
        tasks: Tasks,
        driver: NetworkDriver,
        world: World,
        *,
        other_users: Callable[[str], Sequence[str]] = _nobody,
        events: EventLog | None = None,
    ) -> None:
        self._registry = NetworkRegistry(store, events)
        self._tasks = tasks
        self._driver = driver
        self._upkeep = Upkeep(self._registry, driver, world, events)
        self._leases = Leases(self._registry, self._upkeep, world)
        tasks.register(CreateNetwork(self._registry, driver, self._upkeep, world))
        tasks.register(DeleteNetwork(self._registry, self._upkeep, other_users))

    def list(self) -> Sequence[Network]:
        """All networks, by name."""
        return self._registry.all()

    def get(self, name: str) -> Network:
        """Return one network.

        Raises:
            NetworkNotFoundError: there is none of this name.
        """
        return self._registry.get(name)

    def leases(self, name: str) -> Sequence[Lease]:
        """List the addresses reserved in a network, by instance and nic.

        Raises:
            NetworkNotFoundError: there is none of this name.
        """
        self._registry.get(name)
        held = self._registry.leases_in(name)
        return sorted(held, key=lambda lease: (lease.instance, lease.nic))

    async def status(self, name: str) -> NetworkStatus:
        """Look at a network now.

        Raises:
            NetworkNotFoundError: there is none of this name.
        """
        return await self._driver.status(self._registry.get(name))

    async def create(self, request: NetworkCreate, actor: Actor) -> Task:
        """Begin to create a network; raises what its check raises."""
        return await self._tasks.submit(CreateNetwork.kind, request, actor)

    async def delete(self, name: str, actor: Actor) -> Task:
        """Begin to delete a network that nobody uses; raises what its check raises."""
        params = DeleteNetworkParams(name=name)
        return await self._tasks.submit(DeleteNetwork.kind, params, actor)

    async def ensure_all(self) -> Mapping[str, LodgeError]:
        """Bring up or adopt every network at the daemon's start; failures by name."""
        return await self._upkeep.ensure_all()

    async def watch(self) -> None:
        """Repair networks whenever they break; runs until cancelled."""
        await self._upkeep.watch()

    async def repair(self) -> Sequence[str]:
        """Look at every network once, repair what is broken, return the names of those."""
        return await self._upkeep.repair()

    async def reserve(
        self, network: str, instance: str, nic: str, mac: str = "", *, ipv4: str | None = None
    ) -> Lease:
        """Reserve addresses for a nic; see ``Leases.reserve``."""
        return await self._leases.reserve(network, instance, nic, mac, ipv4=ipv4)

    async def release(self, instance: str) -> None:
        """Free every address of an instance."""
        await self._leases.release(instance)

    async def release_nic(self, instance: str, nic: str) -> None:
        """Free the addresses of one nic."""
        await self._leases.release_nic(instance, nic)

    async def rename(self, old: str, new: str) -> None:
        """Let an instance's leases and DNS names follow its new name."""
        await self._leases.rename(old, new)

    def open_port(self, network: str, port: str, mac: str, *, uid: int) -> int:
        """Make a tap for a nic and return its descriptor; blocks for a few milliseconds.

        Raises:
            NetworkNotFoundError: there is none of this name.
            PortBusyError, NetworkFailedError: see the driver's contract.
        """
        return self._driver.open_port(self._registry.get(network), port, mac, uid=uid)

    async def close_port(self, network: str, port: str) -> None:
        """Remove a nic's tap; nothing happens when it is not there.

        Raises:
            NetworkNotFoundError: there is no network of this name.
        """
        await self._driver.close_port(self._registry.get(network), port)

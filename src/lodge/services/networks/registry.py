"""The networks and leases that exist: stored records, found by name; writes are guarded."""

import msgspec

from lodge.model.network import Lease, Network, NetworkState
from lodge.services.networks.errors import (
    NetworkExistsError,
    NetworkInUseError,
    NetworkNotFoundError,
    NetworkNotReadyError,
)
from lodge.services.networks.lease_index import LeaseIndex
from lodge.store.contract import Operation, Store
from lodge.store.events import EventLog
from lodge.store.records import Records

__all__ = ["NetworkRegistry", "lease_key"]

_NAMES_SHOWN = 10
_WRITE_ATTEMPTS = 20


def lease_key(network: str, instance: str, nic: str) -> str:
    """Return the key of a lease below ``leases/``; none of the names has a slash."""
    return f"{network}/{instance}/{nic}"


class NetworkRegistry:
    """Records of networks and of the addresses reserved in them; ``events`` hears of both ends."""

    def __init__(self, store: Store, events: EventLog | None = None) -> None:
        self.store = store
        self._events = events
        self.networks = Records(store, "networks/", Network)
        self.leases = Records(store, "leases/", Lease)
        self._index = LeaseIndex(store, self.leases)

    def all(self) -> list[Network]:
        """All networks, by name."""
        return [network for _, network in self.networks.items()]

    def get(self, name: str) -> Network:
        """Return one network.

        Raises:
            NetworkNotFoundError: there is none of this name.
        """
        return self.entry(name)[0]

    def entry(self, name: str) -> tuple[Network, int]:
        """Return one network and its revision.

        Raises:
            NetworkNotFoundError: there is none of this name.
        """
        found = self.networks.entry(name)
        if found is None:
            raise NetworkNotFoundError(f"there is no network {name!r}", where=f"networks/{name}")
        return found

    def ready(self, name: str) -> tuple[Network, int]:
        """Return a network that nics may use, and its revision.

        Raises:
            NetworkNotFoundError: there is none of this name.
            NetworkNotReadyError: it is being created or deleted.
        """
        network, revision = self.entry(name)
        if network.state is not NetworkState.READY:
            raise NetworkNotReadyError(
                f"network {name!r} is {network.state.value}, required: ready",
                where=f"networks/{name}",
                actual=network.state.value,
            )
        return network, revision

    def leases_in(self, name: str) -> list[Lease]:
        """List the leases of one network."""
        return self._index.in_network(name)

    def leases_of(self, instance: str) -> list[Lease]:
        """List the leases of one instance."""
        return self._index.of_instance(instance)

    async def add(self, network: Network) -> None:
        """Write a new record; the same one (by id) again changes nothing.

        Raises:
            NetworkExistsError: another network has the name.
        """
        present = self.networks.get(network.name)
        if present is not None and present.id == network.id:
            return
        answer = await self.store.txn(
            [self.networks.compare(network.name, 0)], [self.networks.put(network.name, network)]
        )
        if not answer.succeeded:
            raise NetworkExistsError(
                f"network {network.name!r} exists already", where=f"networks/{network.name}"
            )

    async def set_state(self, name: str, network_id: str, state: NetworkState) -> None:
        """Change the state of that very network; nothing happens when it is gone."""
        for _ in range(_WRITE_ATTEMPTS):
            found = self.networks.entry(name)
            if found is None or found[0].id != network_id or found[0].state is state:
                return
            changed = msgspec.structs.replace(found[0], state=state)
            is_new = found[0].state is NetworkState.CREATING and state is NetworkState.READY
            answer = await self.store.txn(
                [self.networks.compare(name, found[1])],
                [
                    self.networks.put(name, changed),
                    *(self._event("network.created", name) if is_new else ()),
                ],
            )
            if answer.succeeded:
                return
        raise NetworkNotReadyError(
            f"network {name!r} changes all the time", where=f"networks/{name}"
        )

    async def remove(self, name: str, network_id: str) -> None:
        """Delete the record of that very network; nothing happens when it is gone."""
        present = self.networks.get(name)
        if present is not None and present.id == network_id:
            was_there = present.state is not NetworkState.CREATING
            await self.store.txn(
                [],
                [
                    self.networks.delete(name),
                    *(self._event("network.deleted", name) if was_there else ()),
                ],
            )

    def _event(self, kind: str, name: str) -> list[Operation]:
        return [self._events.put(kind, f"networks/{name}")] if self._events else []

    def refuse_use(self, name: str, others: list[str]) -> None:
        """Refuse when instances hold addresses of it, or others (profiles) name it.

        Raises:
            NetworkInUseError: naming the users.
        """
        instances = sorted({lease.instance for lease in self.leases_in(name)})
        users = [f"instances/{instance}" for instance in instances] + sorted(others)
        if users:
            shown = ", ".join(users[:_NAMES_SHOWN])
            more = f" and {len(users) - _NAMES_SHOWN} more" if len(users) > _NAMES_SHOWN else ""
            raise NetworkInUseError(
                f"network {name!r} is used by {shown}{more}",
                where=f"networks/{name}",
                users=users[:_NAMES_SHOWN],
                count=len(users),
            )

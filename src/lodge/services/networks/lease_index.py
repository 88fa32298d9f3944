"""Leases by network and by instance, kept up with the store change by change.

Listing all leases for every reservation would make the thousandth instance cost a thousand times
the first one.
"""

from lodge.model.network import Lease
from lodge.store.contract import Store
from lodge.store.errors import CompactedError
from lodge.store.records import Records

__all__ = ["LeaseIndex"]

_PREFIX = "leases/"


class LeaseIndex:
    """The same leases as in the store, found without looking at all of them."""

    def __init__(self, store: Store, leases: Records[Lease]) -> None:
        self._store = store
        self._leases = leases
        self._seen: int | None = None
        self._known: dict[str, Lease] = {}
        self._by_network: dict[str, dict[str, Lease]] = {}
        self._by_instance: dict[str, dict[str, Lease]] = {}

    def in_network(self, name: str) -> list[Lease]:
        """List the leases of one network, in the order they were reserved."""
        self._catch_up()
        return list(self._by_network.get(name, {}).values())

    def of_instance(self, name: str) -> list[Lease]:
        """List the leases of one instance."""
        self._catch_up()
        return list(self._by_instance.get(name, {}).values())

    def _catch_up(self) -> None:
        revision = self._store.revision
        if self._seen == revision:
            return
        try:
            if self._seen is None:
                self._list_all()
            else:
                for change in self._store.changes(_PREFIX, self._seen):
                    self._look_at(change.key.removeprefix(_PREFIX))
        except CompactedError:
            self._list_all()
        self._seen = revision

    def _list_all(self) -> None:
        for key in [*self._known, *(key for key, _ in self._leases.items())]:
            self._look_at(key)

    def _look_at(self, key: str) -> None:
        """Take over what the store has under a key now."""
        old, new = self._known.pop(key, None), self._leases.get(key)
        if old is not None and old is not new:
            self._by_network[old.network].pop(key, None)
            self._by_instance[old.instance].pop(key, None)
            if not self._by_instance[old.instance]:
                del self._by_instance[old.instance]
        if new is not None:
            self._known[key] = new
            self._by_network.setdefault(new.network, {})[key] = new
            self._by_instance.setdefault(new.instance, {})[key] = new

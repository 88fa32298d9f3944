"""Who owns volumes: instances, as their records say."""

from lodge.model.instance import Instance, Power
from lodge.store.contract import Store
from lodge.store.records import Records

__all__ = ["VolumeOwners"]


class VolumeOwners:
    """Look up instances by id, which is what ``Volume.owner`` holds."""

    def __init__(self, store: Store) -> None:
        self._instances = Records(store, "instances/", Instance)

    def find(self, owner: str | None) -> Instance | None:
        """Return the owner; null when nobody owns the volume, or the owner is being made."""
        if owner is None:
            return None
        return next((found for _, found in self._instances.items() if found.id == owner), None)

    def is_at_rest(self, owner: Instance) -> bool:
        """Whether nothing of it runs or is saved in memory that knows the disk as it is."""
        return owner.handle is None and owner.wanted is Power.STOPPED

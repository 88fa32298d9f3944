"""Which storage drivers there are: built-in ones by a lazy table, others by entry points."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType

from lodge.drivers.storage.contract import StorageFactory
from lodge.drivers.storage.errors import StorageDriverUnknownError

__all__ = ["BUILT_IN", "ENTRY_POINTS", "storage_driver", "storage_driver_names"]

ENTRY_POINTS = "lodge.storage"
"""Group under which another package announces ``name = "module:factory"``."""

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "dir": "lodge.drivers.storage.dir.driver:DirStorage",
        "btrfs": "lodge.drivers.storage.btrfs.driver:BtrfsStorage",
        "fake": "lodge.drivers.storage.fake.driver:FakeStorage",
    }
)


def storage_driver(name: str) -> StorageFactory:
    """Load what makes drivers of that name; a built-in name wins over another package's.

    Raises:
        StorageDriverUnknownError: nobody announces that name.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        built_in: StorageFactory = getattr(import_module(module), attribute)
        return built_in
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name == name:
            announced: StorageFactory = entry.load()
            return announced
    raise StorageDriverUnknownError(
        f"there is no storage driver {name!r}",
        where="driver",
        hint=f"choose one of: {', '.join(storage_driver_names())}",
    )


def storage_driver_names() -> list[str]:
    """Names of all drivers, sorted; nothing is loaded."""
    return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINTS))})

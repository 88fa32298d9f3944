"""The network drivers by name; a module is imported only when its driver is used."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lodge.base.world import World
from lodge.drivers.network.contract import NetworkDriver

__all__ = ["DRIVERS", "load_network_driver"]

DRIVERS: Mapping[str, str] = MappingProxyType(
    {
        "bridge": "lodge.drivers.network.bridge.make:make_bridge",
        "fake": "lodge.drivers.network.fake.make:make_fake",
    }
)
"""Driver name to ``module:function``; the function takes state folder, run folder and world."""


def load_network_driver(
    name: str, *, state_dir: Path, run_dir: Path, world: World
) -> NetworkDriver:
    """Make the driver of this name; the folders are for networks only.

    Raises:
        KeyError: no such driver; the daemon's settings allow known names only.
    """
    module, _, function = DRIVERS[name].partition(":")
    make: Any = getattr(import_module(module), function)
    made: NetworkDriver = make(state_dir, run_dir, world)
    return made

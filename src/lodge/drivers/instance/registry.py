"""The instance drivers by name; a module is imported only when its driver is used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lodge.base.world import World
from lodge.drivers.instance.contract import InstanceDriver
from lodge.drivers.instance.errors import InstanceDriverUnknownError
from lodge.system.cgroup import Cgroups

__all__ = [
    "BUILT_IN",
    "ENTRY_POINTS",
    "InstanceDriverSetup",
    "instance_driver_names",
    "load_instance_driver",
]

ENTRY_POINTS = "lodge.instance"
"""Group under which another package announces ``name = "module:function"``."""

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {
        "qemu": "lodge.drivers.instance.qemu.make:make_qemu",
        "fake": "lodge.drivers.instance.fake.make:make_fake",
    }
)
"""Driver name to ``module:function``; the function takes an ``InstanceDriverSetup``."""


@dataclass(frozen=True, slots=True)
class InstanceDriverSetup:
    """What the daemon gives a driver: clock, folder for the driver's own facts, groups, settings.

    ``options`` are the driver's settings as plain values; what is left out has its default.
    """

    world: World
    state_dir: Path
    cgroups: Cgroups | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def load_instance_driver(name: str, setup: InstanceDriverSetup) -> InstanceDriver:
    """Make the driver of that name; a built-in name wins over another package's.

    Raises:
        InstanceDriverUnknownError: nobody announces that name.
        InvalidError: a setting is malformed.
    """
    if name in BUILT_IN:
        module, _, function = BUILT_IN[name].partition(":")
        make: Any = getattr(import_module(module), function)
    else:
        announced = [entry for entry in entry_points(group=ENTRY_POINTS) if entry.name == name]
        if not announced:
            raise InstanceDriverUnknownError(
                f"there is no instance driver {name!r}",
                where="driver",
                hint=f"choose one of: {', '.join(instance_driver_names())}",
            )
        make = announced[0].load()
    made: InstanceDriver = make(setup)
    return made


def instance_driver_names() -> list[str]:
    """Names of all drivers, sorted; nothing is loaded."""
    return sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINTS))})

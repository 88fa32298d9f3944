"""Merge profiles and a request into resolved values; pure.

Later profiles win over earlier ones, the request wins over all. Two fields do not simply replace:
the parts of ``cloud_init`` win one by one, and its ``ssh_keys`` add up, so that a profile with the
keys of a team and a request with one more key let all of them in.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from lodge.model.instance import BootSpec, CloudInitSpec, CrashPolicy, MachineType
from lodge.model.profile import ProfileSpec
from lodge.model.requests import InstanceCreate
from lodge.services.profiles.errors import UnknownProfileError

__all__ = ["Resolved", "merge_cloud_init", "merge_profiles"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a request and its profiles together ask for; every value is decided.

    ``disk_bytes`` null: the image decides. ``boot`` null: machine and image decide.
    """

    cpus: int
    cpu_model: str
    memory_mib: int
    disk_bytes: int | None
    pool: str
    networks: tuple[str, ...]
    machine: MachineType
    boot: BootSpec | None
    cloud_init: CloudInitSpec
    on_crash: CrashPolicy
    starts_at_boot: bool
    tags: tuple[str, ...]


def merge_profiles(request: InstanceCreate, profiles: Mapping[str, ProfileSpec]) -> Resolved:
    """Decide every value that the request or one of its profiles may set.

    Raises:
        UnknownProfileError: the request names a profile that is not in ``profiles``.
    """
    layers: list[ProfileSpec | InstanceCreate] = [request, *_named(request, profiles)]
    return Resolved(
        cpus=_first((layer.cpus for layer in layers), default=1),
        cpu_model=_first((layer.cpu_model for layer in layers), default="auto"),
        memory_mib=_first((layer.memory_mib for layer in layers), default=1024),
        disk_bytes=_first((layer.disk_bytes for layer in layers), default=None),
        pool=_first((layer.pool for layer in layers), default="default"),
        networks=_first((layer.networks for layer in layers), default=()),
        machine=_first((layer.machine for layer in layers), default=MachineType.Q35),
        boot=_first((layer.boot for layer in layers), default=None),
        cloud_init=merge_cloud_init([layer.cloud_init for layer in layers]),
        on_crash=_first((layer.on_crash for layer in layers), default=CrashPolicy.RESTART),
        starts_at_boot=_first((layer.starts_at_boot for layer in layers), default=False),
        tags=_first((layer.tags for layer in layers), default=()),
    )


def merge_cloud_init(layers: list[CloudInitSpec | None]) -> CloudInitSpec:
    """Merge cloud-init parts, strongest first; keys of all layers, the weakest layer's first."""
    given = [layer for layer in layers if layer is not None]
    keys = [key for layer in reversed(given) for key in layer.ssh_keys]
    return CloudInitSpec(
        user_data=_first((layer.user_data for layer in given), default=None),
        vendor_data=_first((layer.vendor_data for layer in given), default=None),
        network_config=_first((layer.network_config for layer in given), default=None),
        ssh_keys=tuple(dict.fromkeys(keys)),
    )


def _named(request: InstanceCreate, profiles: Mapping[str, ProfileSpec]) -> Iterator[ProfileSpec]:
    """Yield the profiles of a request, strongest (last) first."""
    for number in reversed(range(len(request.profiles))):
        name = request.profiles[number]
        if name not in profiles:
            raise UnknownProfileError(
                f"there is no profile {name!r}", where=f"profiles[{number}]", profile=name
            )
        yield profiles[name]


def _first(values: Iterator[_T | None], *, default: _T) -> _T:
    """Return the first value that is set."""
    return next((value for value in values if value is not None), default)

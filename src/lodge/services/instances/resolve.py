"""From a request to a complete spec: profiles, image and defaults filled in; pure.

Everything that chance decides (id, MACs) comes in as arguments, so that the same request gives
the same spec and golden tests can hold it.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import msgspec

from lodge.base.units import GIB, MIB, format_size
from lodge.model.image import Image
from lodge.model.instance import (
    BootSpec,
    CloudInitSpec,
    CpuSpec,
    DiskSpec,
    Firmware,
    InstanceSpec,
    MachineType,
    NicSpec,
)
from lodge.model.requests import InstanceCreate
from lodge.services.instances.errors import (
    DiskTooSmallError,
    ImageNeedsKernelError,
    InstanceSpecError,
    MemoryTooLargeError,
    MemoryTooSmallError,
    TooManyCpusError,
)
from lodge.services.profiles.merge import Resolved

__all__ = [
    "HostSize",
    "check_against_host",
    "checked",
    "resolve_spec",
    "root_disk_bytes",
    "unused_mac",
    "wants_seed",
]

_MAC_PREFIX = "52:54:00"
DEFAULT_CLOUD_DISK_BYTES = 8 * GIB
DEFAULT_EMPTY_DISK_BYTES = 8 * GIB
CPU_OVERCOMMIT = 16
"""How many vCPUs one host CPU may carry in a single instance before it is surely a mistake."""


@dataclass(frozen=True, slots=True)
class HostSize:
    """What the host has, in whole CPUs and MiB."""

    cpus: int
    memory_mib: int


def root_disk_bytes(wanted_bytes: int | None, image: Image | None) -> int:
    """Decide the size of the root disk.

    Raises:
        DiskTooSmallError: smaller than the image.
    """
    if image is None:
        return wanted_bytes or DEFAULT_EMPTY_DISK_BYTES
    if wanted_bytes is None:
        floor = DEFAULT_CLOUD_DISK_BYTES if image.has_cloud_init else 0
        return max(image.virtual_bytes, floor)
    if wanted_bytes < image.virtual_bytes:
        raise DiskTooSmallError(
            f"a disk of {format_size(wanted_bytes)} is smaller than the image's"
            f" {format_size(image.virtual_bytes)}",
            where="disk_bytes",
            hint=f"ask for at least {format_size(image.virtual_bytes)}",
            wanted_bytes=wanted_bytes,
            image_bytes=image.virtual_bytes,
        )
    return wanted_bytes


def resolve_spec(
    request: InstanceCreate,
    resolved: Resolved,
    image: Image | None,
    *,
    root_volume: str,
    new_mac: Callable[[], str],
) -> InstanceSpec:
    """Fill the request up to a complete spec.

    Raises:
        InstanceSpecError, MemoryTooSmallError, ImageNeedsKernelError: it contradicts itself or
            the image.
    """
    boot = _boot(resolved, image)
    memory_mib = resolved.memory_mib
    if image is not None and memory_mib < image.min_memory_mib:
        raise MemoryTooSmallError(
            f"{memory_mib} MiB is less than the {image.min_memory_mib} MiB that image"
            f" {request.image!r} needs",
            where="memory_mib",
            hint=f"give it at least {image.min_memory_mib} MiB",
        )
    return InstanceSpec(
        kind=request.kind,
        description=request.description,
        tags=resolved.tags,
        image=image.fingerprint if image else None,
        profiles=request.profiles,
        machine=resolved.machine,
        cpu=CpuSpec(count=resolved.cpus, model=resolved.cpu_model),
        memory_mib=memory_mib,
        boot=boot,
        disks=(DiskSpec(name="root", pool=resolved.pool, volume=root_volume),),
        nics=_nics(resolved.networks, new_mac),
        cloud_init=resolved.cloud_init,
        on_crash=resolved.on_crash,
        starts_at_boot=resolved.starts_at_boot,
        boot_order=request.boot_order if request.boot_order is not None else 100,
        is_protected=request.is_protected,
    )


def checked(spec: InstanceSpec) -> InstanceSpec:
    """Return an equal spec that was checked field by field: putting one together checks nothing.

    Raises:
        InstanceSpecError: with the field and the rule it breaks.
    """
    try:
        return msgspec.convert(msgspec.to_builtins(spec), InstanceSpec)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$.")
        where = path.rstrip("`")
        raise InstanceSpecError(f"{where or 'the spec'}: {words}", where=where or None) from error


def _boot(resolved: Resolved, image: Image | None) -> BootSpec:
    boot = resolved.boot
    if boot is None:
        # A distribution's own boot loader is the default, so that a kernel upgraded inside the
        # guest is the one that runs; images without cloud-init here have no boot loader.
        bare = image is not None and image.has_kernel and not image.has_cloud_init
        direct = bare or resolved.machine is MachineType.MICROVM
        boot = BootSpec(firmware=Firmware.DIRECT if direct else Firmware.BIOS)
    if resolved.machine is MachineType.MICROVM and boot.firmware is not Firmware.DIRECT:
        raise InstanceSpecError(
            f"a microvm boots a kernel directly; firmware {boot.firmware.value!r} is for q35",
            where="boot.firmware",
            hint="leave the firmware out, or choose machine q35",
        )
    if boot.firmware is Firmware.DIRECT and (image is None or not image.has_kernel):
        raise ImageNeedsKernelError(
            "direct boot needs an image with a kernel beside it", where="boot.firmware"
        )
    if boot.command_line is not None and boot.firmware is not Firmware.DIRECT:
        raise InstanceSpecError(
            "a kernel command line is used by direct boot only", where="boot.command_line"
        )
    return boot


def _nics(networks: Sequence[str], new_mac: Callable[[], str]) -> tuple[NicSpec, ...]:
    return tuple(
        NicSpec(name=f"eth{number}", network=network, mac=new_mac())
        for number, network in enumerate(networks)
    )


def unused_mac(roll: Callable[[], bytes], taken: AbstractSet[str | None]) -> str:
    """Roll three bytes until nobody has the MAC: among 10,000 of them chance alone repeats some."""
    while True:
        mac = ":".join([_MAC_PREFIX, *(f"{byte:02x}" for byte in roll())])
        if mac not in taken:
            return mac


def check_against_host(spec: InstanceSpec, host: HostSize) -> None:
    """Refuse what this host could never run.

    Raises:
        MemoryTooLargeError, TooManyCpusError: with both numbers.
    """
    if spec.memory_mib > host.memory_mib:
        raise MemoryTooLargeError(
            f"{format_size(spec.memory_mib * MIB)} is more than the"
            f" {format_size(host.memory_mib * MIB)} this host has",
            where="memory_mib",
            wanted_mib=spec.memory_mib,
            host_mib=host.memory_mib,
        )
    if spec.cpu.count > host.cpus * CPU_OVERCOMMIT:
        raise TooManyCpusError(
            f"{spec.cpu.count} vCPUs are more than {CPU_OVERCOMMIT} times this host's"
            f" {host.cpus} CPUs",
            where="cpus",
            wanted=spec.cpu.count,
            host=host.cpus,
        )


_NO_CLOUD_INIT = CloudInitSpec()


def wants_seed(spec: InstanceSpec, image: Image | None) -> bool:
    """Whether the instance gets a NoCloud seed: every image may read one, an empty disk cannot."""
    return image is not None or spec.cloud_init != _NO_CLOUD_INIT

"""From request, profiles and image to a complete spec."""

import itertools

import pytest

from lodge.base.units import GIB, MIB
from lodge.model.image import Image, ImageOrigin
from lodge.model.instance import BootSpec, Firmware, InstanceSpec, MachineType
from lodge.model.requests import InstanceCreate
from lodge.services.instances.errors import (
    DiskTooSmallError,
    ImageNeedsKernelError,
    InstanceSpecError,
    MemoryTooLargeError,
    MemoryTooSmallError,
    TooManyCpusError,
)
from lodge.services.instances.resolve import (
    HostSize,
    check_against_host,
    resolve_spec,
    root_disk_bytes,
    unused_mac,
)
from lodge.services.profiles.merge import merge_profiles


def image(**changes: object) -> Image:
    facts = {
        "fingerprint": "f" * 64,
        "aliases": ("debian-12",),
        "description": "",
        "os": "debian",
        "architecture": "x86_64",
        "origin": ImageOrigin.BUILT,
        "source": "recipe:debian-12",
        "virtual_bytes": 4 * GIB,
        "file_bytes": 400 * MIB,
        "created_at": 0.0,
        "has_kernel": True,
    }
    return Image(**{**facts, **changes})


def resolve(request: InstanceCreate, source: Image | None) -> InstanceSpec:
    macs = itertools.count(1)
    return resolve_spec(
        request,
        merge_profiles(request, {}),
        source,
        root_volume="id-root",
        new_mac=lambda: f"52:54:00:00:00:{next(macs):02x}",
    )


def request(**changes: object) -> InstanceCreate:
    return InstanceCreate(**{"name": "web", "image": "debian-12", "profiles": (), **changes})


def test_every_network_gets_a_nic_with_its_own_mac() -> None:
    spec = resolve(request(networks=("front", "back")), image())
    assert [(nic.name, nic.network, nic.mac) for nic in spec.nics] == [
        ("eth0", "front", "52:54:00:00:00:01"),
        ("eth1", "back", "52:54:00:00:00:02"),
    ]


def test_a_cloud_image_boots_by_its_own_boot_loader_and_a_bare_one_by_its_kernel() -> None:
    assert resolve(request(), image()).boot.firmware is Firmware.BIOS
    bare = image(has_cloud_init=False)
    assert resolve(request(), bare).boot.firmware is Firmware.DIRECT


def test_a_microvm_boots_a_kernel_directly_or_is_refused() -> None:
    micro = request(machine=MachineType.MICROVM)
    assert resolve(micro, image()).boot.firmware is Firmware.DIRECT
    with pytest.raises(ImageNeedsKernelError):
        resolve(micro, image(has_kernel=False))
    with pytest.raises(InstanceSpecError):
        resolve(request(machine=MachineType.MICROVM, boot=BootSpec()), image())


def test_a_command_line_without_direct_boot_is_refused() -> None:
    with pytest.raises(InstanceSpecError) as refused:
        resolve(request(boot=BootSpec(command_line="quiet")), image())
    assert refused.value.where == "boot.command_line"


def test_less_memory_than_the_image_needs_is_refused_with_both_numbers() -> None:
    with pytest.raises(MemoryTooSmallError) as refused:
        resolve(request(memory_mib=64), image(min_memory_mib=256))
    assert "64" in refused.value.message
    assert "256" in refused.value.message


def test_the_disk_is_as_asked_or_as_large_as_the_image_needs() -> None:
    assert root_disk_bytes(None, image()) == 8 * GIB
    assert root_disk_bytes(None, image(has_cloud_init=False, virtual_bytes=256 * MIB)) == 256 * MIB
    assert root_disk_bytes(20 * GIB, image()) == 20 * GIB
    assert root_disk_bytes(None, None) == 8 * GIB


def test_a_disk_smaller_than_the_image_is_refused_with_both_sizes() -> None:
    with pytest.raises(DiskTooSmallError) as refused:
        root_disk_bytes(GIB, image())
    assert refused.value.details == {"wanted_bytes": GIB, "image_bytes": 4 * GIB}


def test_more_than_the_host_has_is_refused() -> None:
    host = HostSize(cpus=2, memory_mib=4096)
    check_against_host(resolve(request(memory_mib=4096, cpus=32), image()), host)
    with pytest.raises(MemoryTooLargeError):
        check_against_host(resolve(request(memory_mib=4097), image()), host)
    with pytest.raises(TooManyCpusError):
        check_against_host(resolve(request(cpus=33), image()), host)


def test_a_mac_that_another_instance_has_is_rolled_again() -> None:
    rolls = iter([b"\x00\x00\x01", b"\x00\x00\x02", b"\x00\x00\x03"])
    taken = {"52:54:00:00:00:01", "52:54:00:00:00:02", None}
    assert unused_mac(lambda: next(rolls), taken) == "52:54:00:00:00:03"

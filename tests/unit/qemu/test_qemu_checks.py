"""Plans that can never run are refused before anything is started, saying why."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lodge.base.errors import LodgeError
from lodge.drivers.instance.contract import AttachedDisk, InstancePlan
from lodge.drivers.instance.qemu.errors import (
    FirmwareMissingError,
    InvalidOptionError,
    TooManyDevicesError,
    UnknownMachineError,
    UnsupportedPlanError,
)
from lodge.drivers.instance.qemu.firmware import FirmwareFiles, find_firmware, make_nvram
from lodge.drivers.instance.qemu.machines import newest, parse_machines, parse_version
from lodge.drivers.instance.qemu.options import QemuOptions, read_options
from lodge.drivers.instance.qemu.render import check_plan, cpu_model, machine_uuid
from lodge.model.instance import DiskBus, Firmware, InstanceKind, MachineType

VERSIONS = ("microvm", "pc-q35-7.2", "pc-q35-6.2")
DISK = AttachedDisk("root", Path("/pool/root.qcow2"), "qcow2")
MICROVM = {"machine": MachineType.MICROVM, "firmware": Firmware.DIRECT, "vmlinux": Path("/k")}


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        ({"kind": InstanceKind.CONTAINER}, UnsupportedPlanError, "'container'"),
        ({"machine_version": "pc-q35-9.9"}, UnknownMachineError, "'pc-q35-9.9'"),
        ({"machine_version": "pc-i440fx-7.2"}, UnknownMachineError, "newest q35 is 'pc-q35-7.2'"),
        ({"cpus": 256}, UnsupportedPlanError, "256 CPUs are more than the 255"),
        ({"firmware": Firmware.DIRECT}, UnsupportedPlanError, "needs a kernel"),
        ({**MICROVM, "firmware": Firmware.BIOS}, UnsupportedPlanError, "microvm has no bios"),
        ({**MICROVM, "vmlinux": None}, UnsupportedPlanError, "needs a kernel"),
        ({**MICROVM, "disks": (replace(DISK, bus="sata"),)}, UnsupportedPlanError, "no sata bus"),
        ({"disks": (DISK, DISK)}, UnsupportedPlanError, "two disks are named 'root'"),
        ({"disks": (replace(DISK, format="vmdk"),)}, UnsupportedPlanError, "'vmdk'"),
        (
            {"disks": (replace(DISK, chain=((Path("/i/base"), "host_device"),)),)},
            UnsupportedPlanError,
            "/i/base is said to be 'host_device'",
        ),
        (
            {"disks": (replace(DISK, format="raw", chain=((Path("/i"), "raw"),)),)},
            UnsupportedPlanError,
            "is raw, so it cannot have a layer below",
        ),
        (
            {"disks": tuple(replace(DISK, name=f"d{n}", bus=DiskBus.SATA) for n in range(7))},
            TooManyDevicesError,
            "6 devices",
        ),
    ],
)
def test_an_impossible_plan_is_refused(
    wanted: dict[str, Any],
    error: type[LodgeError],
    words: str,
    make_plan: Callable[..., InstancePlan],
    firmware: FirmwareFiles,
) -> None:
    plan = make_plan(**wanted)
    with pytest.raises(error) as refused:
        check_plan(plan, versions=VERSIONS, firmware=firmware, options=QemuOptions())
    assert words in refused.value.message
    assert refused.value.where


@pytest.mark.parametrize(
    ("wanted", "package"),
    [({"firmware": Firmware.UEFI}, "ovmf"), (MICROVM, "qemu-system-data")],
)
def test_missing_firmware_is_told_with_its_package(
    wanted: dict[str, Any], package: str, make_plan: Callable[..., InstancePlan]
) -> None:
    with pytest.raises(FirmwareMissingError) as refused:
        check_plan(
            make_plan(**wanted),
            versions=VERSIONS,
            firmware=FirmwareFiles(),
            options=QemuOptions(),
        )
    assert package in refused.value.hint


def test_machines_are_parsed_without_headline_and_aliases() -> None:
    text = (
        "Supported machines are:\n"
        "microvm              microvm (i386)\n"
        "pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)\n"
        "pc-i440fx-7.2        Standard PC (i440FX + PIIX, 1996) (default)\n"
        "q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-7.2)\n"
        "pc-q35-7.2           Standard PC (Q35 + ICH9, 2009)\n"
        "none                 empty machine\n"
    )
    assert parse_machines(text) == ("microvm", "pc-i440fx-7.2", "pc-q35-7.2", "none")
    assert parse_machines("") == ()


def test_the_newest_machine_is_found_by_number_and_not_by_letter() -> None:
    versions = ["pc-q35-2.4", "pc-q35-9.2", "pc-q35-10.0", "pc-q35-4.0.1", "pc-i440fx-11.0"]
    assert newest(MachineType.Q35, versions) == "pc-q35-10.0"
    with pytest.raises(UnknownMachineError):
        newest(MachineType.Q35, ["pc-i440fx-7.2"])
    with pytest.raises(UnknownMachineError):
        newest(MachineType.MICROVM, versions)


def test_a_version_that_cannot_be_read_is_unknown() -> None:
    assert parse_version("QEMU emulator version 10.0.2 (Debian 1:10.0.2)") == "10.0.2"
    assert parse_version("nonsense") == "unknown"


@pytest.mark.parametrize(
    ("wanted", "accelerator", "model"),
    [
        ("auto", "kvm", "host"),
        ("auto", "tcg", "max"),
        ("host", "tcg", "max"),
        ("EPYC", "kvm", "EPYC"),
        ("qemu64,+aes", "tcg", "qemu64,+aes"),
    ],
)
def test_the_cpu_model_fits_the_accelerator(wanted: str, accelerator: str, model: str) -> None:
    assert cpu_model(wanted, accelerator) == model


def test_ids_that_are_no_uuids_get_one_that_never_changes() -> None:
    assert machine_uuid("i-42") == machine_uuid("i-42") != machine_uuid("i-43")
    assert machine_uuid("5D4C3B2A19084F6E8D7C6B5A49382716") == (
        "5d4c3b2a-1908-4f6e-8d7c-6b5a49382716"
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cash": "none"}, "cash"),
        ({"cache": "fast"}, "cache"),
        ({"spare_ports": 33}, "spare_ports"),
        ({"spare_ports": "4"}, "spare_ports"),
        ({"aio": "native"}, "cache 'writeback'"),
        ({"probe_timeout_s": 0}, "probe_timeout_s"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOptionError) as refused:
        read_options(values)
    assert words in refused.value.message


def test_settings_left_out_have_their_defaults() -> None:
    assert read_options({"cache": "none"}) == QemuOptions(cache="none")


def test_firmware_is_found_as_pairs_of_one_build(tmp_path: Path) -> None:
    folder = tmp_path / "usr/share/OVMF"
    folder.mkdir(parents=True)
    (folder / "OVMF_CODE_4M.fd").touch()
    (folder / "OVMF_VARS.fd").touch()
    assert find_firmware(tmp_path) == FirmwareFiles()
    (folder / "OVMF_CODE.fd").touch()
    found = find_firmware(tmp_path)
    assert (found.ovmf_code, found.ovmf_vars) == (
        folder / "OVMF_CODE.fd",
        folder / "OVMF_VARS.fd",
    )


@pytest.mark.root
def test_an_instance_keeps_the_firmware_variables_it_has(tmp_path: Path) -> None:
    template, own = tmp_path / "template", tmp_path / "nvram"
    template.write_bytes(b"empty")
    make_nvram(template, own, uid=600_001)
    assert own.stat().st_uid == 600_001
    assert own.stat().st_mode & 0o777 == 0o600
    own.write_bytes(b"boot entries")
    make_nvram(template, own, uid=600_001)
    assert own.read_bytes() == b"boot entries"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["nvram", "template"]

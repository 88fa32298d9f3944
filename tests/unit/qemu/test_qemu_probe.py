"""The probe without a hypervisor: its guest's bytes, its reasons, what it keeps and what not."""

import asyncio
import gzip
import os
import struct
from pathlib import Path

import msgspec
import pytest

from lodge.base.world import RealWorld
from lodge.drivers.instance.qemu.probe import (
    AccelerationProbe,
    Verdict,
    find_kernel,
    kvm_groups,
)
from lodge.drivers.instance.qemu.probe_guest import MARKER, probe_initrd
from lodge.system.procfs import kernel_release


def _members(archive: bytes) -> dict[str, tuple[int, bytes]]:
    found, offset = {}, 0
    while True:
        fields = [int(archive[offset + 6 + 8 * n : offset + 14 + 8 * n], 16) for n in range(13)]
        size, name_size = fields[6], fields[11]
        name = archive[offset + 110 : offset + 110 + name_size - 1].decode()
        start = (offset + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], archive[start : start + size])
        offset = (start + size + 3) // 4 * 4


def test_the_probes_initrd_holds_a_console_and_one_program() -> None:
    members = _members(gzip.decompress(probe_initrd()))
    assert {name: mode for name, (mode, _) in members.items()} == {
        "dev": 0o040755,
        "dev/console": 0o020600,
        "init": 0o100755,
    }
    assert probe_initrd() == probe_initrd()


def test_the_probes_program_is_an_executable_whose_message_lies_where_it_looks() -> None:
    program = _members(gzip.decompress(probe_initrd()))["init"][1]
    assert program[:6] == b"\x7fELF\x02\x01"
    entry = struct.unpack_from("<Q", program, 24)[0]
    offset, address = struct.unpack_from("<Q", program, 64 + 8)[0], 0x400000
    assert (offset, entry) == (0, address + 120)
    load = program.index(b"\x48\x8d\x35")  # lea rsi, [rip + distance]
    distance = struct.unpack_from("<i", program, load + 3)[0]
    assert program[load + 7 + distance :] == b"\n" + MARKER + b"\n"


def test_the_running_kernel_is_preferred_then_any_then_an_images(tmp_path: Path) -> None:
    boot, images = tmp_path / "boot", tmp_path / "images"
    (images / "0f1e").mkdir(parents=True)
    boot.mkdir()
    assert find_kernel([boot, images]) is None
    (images / "0f1e/vmlinuz").touch()
    assert find_kernel([boot, images]) == images / "0f1e/vmlinuz"
    (boot / "vmlinuz-1.0").touch()
    assert find_kernel([boot, images]) == boot / "vmlinuz-1.0"
    (boot / f"vmlinuz-{kernel_release()}").touch()
    assert find_kernel([boot, images]) == boot / f"vmlinuz-{kernel_release()}"


def _probe(tmp_path: Path, device: Path) -> AccelerationProbe:
    return AccelerationProbe(
        tmp_path / "state/acceleration.json", RealWorld(), kernels=(tmp_path,), device=device
    )


def test_a_host_without_the_device_is_told_so_and_asked_once(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    found = asyncio.run(_probe(tmp_path, device).verdict())
    assert (found.accelerator, found.is_proven) == ("tcg", True)
    assert "does not exist" in found.reason
    kept = msgspec.json.decode((tmp_path / "state/acceleration.json").read_bytes())
    assert kept["key"][0] == kernel_release()
    assert kept["verdict"]["reason"] == found.reason


def test_a_device_that_only_root_opens_names_the_command_that_helps(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.touch(mode=0o600)
    found = asyncio.run(_probe(tmp_path, device).verdict())
    assert found.accelerator == "tcg"
    assert "has mode 0600" in found.reason
    assert f"chmod 0660 {device}" in found.reason


def test_without_a_kernel_nothing_is_proven_and_nothing_kept(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.touch()
    device.chmod(0o666)
    found = asyncio.run(_probe(tmp_path, device).verdict())
    assert (found.accelerator, found.is_proven) == ("tcg", False)
    assert found.reason.startswith("unproven, using TCG")
    assert not (tmp_path / "state").exists()


def test_a_kept_verdict_holds_until_the_device_changes(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    first = asyncio.run(_probe(tmp_path, device).verdict())
    file = tmp_path / "state/acceleration.json"
    kept = msgspec.json.decode(file.read_bytes())
    kept["verdict"] = {"accelerator": "kvm", "reason": "kept", "is_proven": True}
    file.write_bytes(msgspec.json.encode(kept))
    again = asyncio.run(_probe(tmp_path, device).verdict())
    assert again == Verdict(accelerator="kvm", reason="kept", is_proven=True)
    device.touch(mode=0o600)
    assert asyncio.run(_probe(tmp_path, device).verdict()).accelerator == "tcg"
    assert first.accelerator == "tcg"


@pytest.mark.parametrize("damaged", [b"", b"{", b'{"key": 5}', b"\xff"])
def test_a_damaged_note_is_found_out_anew(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/acceleration.json").write_bytes(damaged)
    found = asyncio.run(_probe(tmp_path, tmp_path / "kvm").verdict())
    assert "does not exist" in found.reason


def test_a_forgotten_verdict_is_found_out_anew(tmp_path: Path) -> None:
    async def scenario() -> tuple[bool, bool]:
        probe = _probe(tmp_path, tmp_path / "kvm")
        await probe.verdict()
        file = tmp_path / "state/acceleration.json"
        before = file.exists()
        await probe.forget()
        await probe.forget()
        return before, file.exists()

    assert asyncio.run(scenario()) == (True, False)


@pytest.mark.root
def test_a_group_helps_only_when_it_may_write_and_is_not_roots(tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    assert kvm_groups(device) == ()
    device.touch(mode=0o600)
    os.chown(device, 0, 107)
    assert kvm_groups(device) == ()
    device.chmod(0o660)
    assert kvm_groups(device) == (107,)
    os.chown(device, 0, 0)
    assert kvm_groups(device) == ()

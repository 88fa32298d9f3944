"""QEMU takes the command lines as they are: unprivileged, sandboxed, with real files."""

import asyncio
import os
import struct
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp import ConnectError, QMPClient
from qemu_lab import until

from lodge.drivers.instance.contract import AttachedDisk, AttachedNic, InstancePlan
from lodge.drivers.instance.qemu.addresses import assign
from lodge.drivers.instance.qemu.firmware import find_firmware, make_nvram
from lodge.drivers.instance.qemu.machines import installed_machines, newest
from lodge.drivers.instance.qemu.options import QemuOptions
from lodge.drivers.instance.qemu.render import LaunchFacts, Sockets, check_plan, render
from lodge.model.instance import BootSpec, CpuSpec, Firmware, InstanceSpec, MachineType
from lodge.system.files import make_folder
from lodge.system.identity import GUEST_GID, LAST_GUEST_UID
from lodge.system.namespace import call_in, create_namespace, delete_namespace, namespace_path
from lodge.system.process import ProcessUser, is_alive, kill, run, spawn_detached, wait_gone
from lodge.system.tap import open_tap

pytestmark = pytest.mark.root

UID = LAST_GUEST_UID - 1


@pytest.fixture
def tap() -> Iterator[int]:
    name = f"lodge-accepts-{os.getpid()}"
    create_namespace(name)
    try:
        handle = call_in(namespace_path(name), lambda: open_tap("tap0", uid=UID))
        yield handle
        os.close(handle)
    finally:
        delete_namespace(name)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the guest's user can reach."""
    with tempfile.TemporaryDirectory(prefix="lodge-accepts-") as name:
        os.chmod(name, 0o711)
        make_folder(Path(name) / "own", uid=UID)
        yield Path(name) / "own"


async def _disks(folder: Path) -> dict[str, Path]:
    await run(["qemu-img", "create", "-q", "-f", "qcow2", str(folder / "base"), "8M"])
    for name in ("root", "data"):
        base = ["-b", str(folder / "base"), "-F", "qcow2"]
        await run(["qemu-img", "create", "-q", "-f", "qcow2", *base, str(folder / name)])
    await run(["qemu-img", "create", "-q", "-f", "raw", str(folder / "raw"), "8M"])
    for file in folder.iterdir():
        os.chown(file, UID, GUEST_GID)
    return {name: folder / name for name in ("base", "root", "data", "raw")}


def _kinds(files: Mapping[str, Path]) -> dict[str, tuple[dict[str, Any], tuple[AttachedDisk, ...]]]:
    below = ((files["base"], "qcow2"),)
    root = AttachedDisk("root", files["root"], "qcow2", chain=below)
    raw = AttachedDisk("raw", files["raw"], "raw")
    return {
        "bios": ({}, (root, raw)),
        "uefi": ({"boot": BootSpec(firmware=Firmware.UEFI)}, (root,)),
        "direct": ({"boot": BootSpec(firmware=Firmware.DIRECT)}, (root,)),
        "microvm": (
            {"boot": BootSpec(firmware=Firmware.DIRECT), "machine": MachineType.MICROVM},
            (root, raw),
        ),
        "buses": (
            {"cpu": CpuSpec(count=2)},
            (
                AttachedDisk("root", files["root"], "qcow2", bus="scsi", chain=below),
                AttachedDisk("data", files["data"], "qcow2", bus="sata", chain=below),
                AttachedDisk("iso", files["raw"], "raw", bus="sata", is_read_only=True),
            ),
        ),
        "read-only": (
            {},
            (root, AttachedDisk("iso", files["raw"], "raw", bus="scsi", is_read_only=True)),
        ),
    }


@pytest.mark.parametrize("kind", ["bios", "uefi", "direct", "microvm", "buses", "read-only"])
@pytest.mark.parametrize("options", [QemuOptions(), QemuOptions(cache="none", aio="io_uring")])
def test_qemu_starts_with_the_line_and_answers(
    kind: str, options: QemuOptions, folder: Path, tap: int
) -> None:
    async def scenario() -> None:
        wanted, disks = _kinds(await _disks(folder))[kind]
        async with _launched(folder, tap, wanted, disks, options) as client:
            status = await client.execute("query-status")
            blocks = await client.execute("query-named-block-nodes", {"flat": True})
        assert status["status"] == "prelaunch"
        names = {block["node-name"] for block in blocks}
        assert {f"disk-{disk.name}" for disk in disks} <= names
        assert not [name for name in names if name.startswith("#")], "a node nobody named"

    asyncio.run(scenario())


@pytest.mark.parametrize("bus", ["virtio", "scsi", "sata"])
def test_the_bios_boots_from_the_first_disk_on_every_bus(bus: str, folder: Path, tap: int) -> None:
    def raw(name: str, code: bytes) -> AttachedDisk:
        (folder / name).write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
        os.chown(folder / name, UID, GUEST_GID)
        return AttachedDisk(name, folder / name, "raw", bus=bus)

    async def scenario() -> None:
        disks = (raw("root", _says(b"FIRST")), raw("data", _says(b"SECOND")))
        async with _launched(folder, tap, {}, disks, QemuOptions()) as client:
            await client.execute("cont")
            serial = folder / "serial.log"
            await until(lambda: serial.read_bytes() == b"FIRST", what="the boot sector speaks")

    asyncio.run(scenario())


def _says(text: bytes) -> bytes:
    """A boot sector that writes a text to the first serial port and halts (16-bit code)."""
    send = b"".join(b"\xb0" + bytes([letter]) + b"\xee" for letter in text)  # mov al, c; out dx, al
    return b"\xba\xf8\x03" + send + b"\xf4\xeb\xfd"  # mov dx, 3f8h; ...; hlt; jmp to hlt


@asynccontextmanager
async def _launched(
    folder: Path,
    tap: int,
    wanted: dict[str, Any],
    disks: tuple[AttachedDisk, ...],
    options: QemuOptions,
) -> AsyncIterator[QMPClient]:
    versions = await installed_machines()
    firmware = find_firmware()
    spec = InstanceSpec(memory_mib=128, **wanted)
    seed = folder / "raw-seed"
    seed.write_bytes(bytes(4096))
    os.chown(seed, UID, GUEST_GID)
    plan = InstancePlan(
        id=str(uuid.uuid4()),
        name="accepts",
        spec=spec,
        machine_version=newest(spec.machine, versions),
        uid=UID,
        run_dir=folder,
        state_dir=folder,
        disks=disks,
        nics=(AttachedNic("eth0", "52:54:00:12:34:56", 1450),),
        seed=seed,
        kernel=_kernel(folder) if spec.boot.firmware is Firmware.DIRECT else None,
    )
    check_plan(plan, versions=versions, firmware=firmware, options=options)
    if firmware.ovmf_vars is not None:
        make_nvram(firmware.ovmf_vars, folder / "nvram", uid=UID)
    facts = LaunchFacts(
        accelerator="tcg",
        cpu_model="max",
        sockets=Sockets.within(folder),
        serial_log=folder / "serial.log",
        addresses=assign(plan, spare_ports=options.spare_ports),
        firmware=firmware,
        options=options,
        tap_fds={"eth0": tap},
        nvram=folder / "nvram",
        tsc_khz=2_000_000,
    )
    log = folder / "qemu.log"
    user = ProcessUser(UID, GUEST_GID)
    process = spawn_detached(render(plan, facts), log=log, pass_fds=(tap,), user=user)
    try:

        async def connected() -> QMPClient | None:
            assert is_alive(process), log.read_text()
            client = QMPClient("accepts")
            try:
                await client.connect(str(facts.sockets.qmp))
            except ConnectError:  # a socket has its name a moment before it listens
                return None
            return client

        client = await until(connected, what="QEMU listens")
        yield client
        await client.disconnect()
    finally:
        kill(process)
        await wait_gone(process)


def _kernel(folder: Path) -> Path:
    """The smallest thing QEMU loads as a kernel: an ELF file with a PVH note."""
    note = struct.pack("<III", 4, 4, 18) + b"Xen\0" + struct.pack("<I", 0x100000)
    header = b"\x7fELF\x01\x01\x01" + bytes(9)
    header += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x100000, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    load = struct.pack("<8I", 1, 0x1000, 0x100000, 0x100000, 16, 16, 5, 0x1000)
    notes = struct.pack("<8I", 4, 52 + 64, 0, 0, len(note), len(note), 4, 4)
    body = header + load + notes + note
    file = folder / "kernel.elf"
    file.write_bytes(body.ljust(0x1000, b"\0") + b"\xf4" * 16)
    os.chown(file, UID, GUEST_GID)
    return file

"""The probe's own guest boots on a real kernel; one that hangs or cannot start is told."""

import asyncio
import contextlib
import os
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from qemu_lab import guest_folder, tiny_guest, until

from lodge.base.world import RealWorld
from lodge.drivers.instance.qemu.probe import AccelerationProbe, boot_probe

pytestmark = pytest.mark.root


@pytest.fixture
def halted(tmp_path: Path) -> Path:
    """A kernel that halts at once: an ELF file with a PVH note and one instruction."""
    note = struct.pack("<III", 4, 4, 18) + b"Xen\0" + struct.pack("<I", 0x100000)
    header = b"\x7fELF\x01\x01\x01" + bytes(9)
    header += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x100000, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    load = struct.pack("<8I", 1, 0x1000, 0x100000, 0x100000, 16, 16, 5, 0x1000)
    notes = struct.pack("<8I", 4, 52 + 64, 0, 0, len(note), len(note), 4, 4)
    file = tmp_path / "vmlinuz"
    file.write_bytes((header + load + notes + note).ljust(0x1000, b"\0") + b"\xf4" * 16)
    return file


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this test's probes make their folders; nothing of them may be left there."""
    with guest_folder() as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder / "run"))
        yield folder / "run"
        assert list((folder / "run").iterdir()) == []
        assert _processes(folder) == []


def _processes(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.fsencode(folder) in (entry / "cmdline").read_bytes():
                    found.append(entry.name)
    return found


def test_a_guest_that_hangs_is_told_with_the_limit_and_leaves_nothing(
    halted: Path, ground: Path
) -> None:
    told = asyncio.run(boot_probe("tcg", halted, timeout_s=1))
    assert told == "a guest under TCG did not come up within 1 s: it printed nothing"


def test_a_kernel_that_is_none_is_told_in_qemus_words(tmp_path: Path, ground: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(b"not a kernel")
    told = asyncio.run(boot_probe("tcg", tmp_path / "vmlinuz", timeout_s=20))
    assert told is not None
    assert told.startswith("QEMU did not start under TCG: ")
    assert "kernel" in told


def test_a_cancelled_probe_leaves_nothing(halted: Path, ground: Path) -> None:
    async def scenario() -> None:
        probing = asyncio.ensure_future(boot_probe("tcg", halted, timeout_s=60))
        await until(lambda: _processes(ground), what="a probe runs")
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing

    asyncio.run(scenario())


class _CountingWorld(RealWorld):
    """Counts how often the time of a probe is taken."""

    def __init__(self) -> None:
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += 1
        return super().monotonic()


def test_all_who_ask_at_once_share_one_probe(tmp_path: Path, halted: Path, ground: Path) -> None:
    device = tmp_path / "kvm"
    device.touch()
    device.chmod(0o666)
    world = _CountingWorld()

    async def scenario() -> None:
        probe = AccelerationProbe(tmp_path / "kept.json", world, device=device)
        found = await asyncio.gather(*(probe.verdict(halted, timeout_s=1) for _ in range(5)))
        assert {verdict.accelerator for verdict in found} == {"tcg"}
        assert len({verdict.reason for verdict in found}) == 1

    asyncio.run(scenario())
    assert world.looks == 2  # begin and end of the one


@pytest.mark.slow
def test_the_probes_own_guest_comes_up_on_a_real_kernel(ground: Path) -> None:
    kernel = tiny_guest().folder / "vmlinuz"
    assert asyncio.run(boot_probe("tcg", kernel, timeout_s=90)) is None

"""What tests of the QEMU driver share: folders a guest's user may enter, plans, patience."""

import asyncio
import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from built_images import built_image

from lodge.drivers.instance.contract import InstancePlan, Signal
from lodge.model.instance import BootSpec, Firmware, InstanceSpec, MachineType

GUEST_UID = 641_000
_CLONE_NEWNET = 0x40000000


@contextmanager
def guest_folder() -> Iterator[Path]:
    """A short path (a socket's may have 107 bytes) whose parents let every user pass."""
    folder = Path(tempfile.mkdtemp(prefix="lq-", dir="/tmp"))
    try:
        for part in (folder, folder / "run", folder / "state"):
            part.mkdir(exist_ok=True)
            part.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bare_plan(
    folder: Path, name: str = "one", *, uid: int = GUEST_UID, **more: Any
) -> InstancePlan:
    """A machine without disks: its firmware finds nothing to boot and waits, which is enough."""
    (folder / "state" / name).mkdir(mode=0o711, exist_ok=True)
    return InstancePlan(
        id=name,
        name=name,
        spec=InstanceSpec(memory_mib=64, **more),
        machine_version="pc-q35-7.2",
        uid=uid,
        run_dir=folder / "run" / name,
        state_dir=folder / "state" / name,
    )


@dataclass(frozen=True)
class Tiny:
    """The tiny guest: kernel and initrd, booted directly."""

    folder: Path

    def plan(
        self, folder: Path, name: str = "one", *, words: str = "", is_microvm: bool = False
    ) -> InstancePlan:
        spec = InstanceSpec(
            memory_mib=160,
            machine=MachineType.MICROVM if is_microvm else MachineType.Q35,
            boot=BootSpec(firmware=Firmware.DIRECT),
        )
        return replace(
            bare_plan(folder, name),
            spec=spec,
            machine_version="microvm" if is_microvm else "pc-q35-7.2",
            kernel=self.folder / "vmlinuz",
            initrd=self.folder / "initrd",
            vmlinux=self.folder / "vmlinux",
            command_line=f"console=ttyS0 quiet panic=0 {words}",
        )


@dataclass
class Ear:
    """Hears every signal."""

    heard: list[tuple[str, Signal, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, name: str, signal: Signal, data: Mapping[str, Any]) -> None:
        self.heard.append((name, signal, dict(data)))

    def of(self, signal: Signal) -> list[dict[str, Any]]:
        return [data for _name, each, data in self.heard if each is signal]

    @property
    def signals(self) -> list[Signal]:
        return [signal for _name, signal, _data in self.heard]


async def until(
    probe: Callable[[], Any] | Callable[[], Awaitable[Any]], *, what: str = "", limit_s: float = 60
) -> Any:
    """Ask until the answer is true, and return it."""
    ends = time.monotonic() + limit_s
    while True:
        answer = probe()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        assert time.monotonic() < ends, f"not within {limit_s} s: {what or probe}"
        await asyncio.sleep(0.01)


async def read_until(output: AsyncIterator[bytes], marker: bytes, *, limit_s: float = 90) -> bytes:
    """Collect a console's output until a text was printed."""
    seen = b""
    async with asyncio.timeout(limit_s):
        while marker not in seen:
            seen += await anext(output)
    return seen


def process_exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


def tiny_guest() -> Tiny:
    """The tiny image, built once by the product itself."""
    return Tiny(built_image("tiny"))


def remove_cgroups(prefix: str) -> None:
    """Remove the (empty) groups a test's drivers made."""
    for group in Path("/sys/fs/cgroup").glob(f"*/{prefix}"):
        group.rmdir()


@contextmanager
def private_network() -> Iterator[None]:
    """Put this thread, and what it starts, into a network of its own with only loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            yield
        finally:
            if libc.setns(before, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(before)

"""Acceleration is proven by a guest that ran, never by a device that opens.

``/dev/kvm`` may open, and a VM may even be created, while every guest kernel hangs (some nested
virtualization) or QEMU aborts. So a tiny guest is started under KVM and must say its line on the
serial port within a time limit; otherwise guests are emulated (TCG). The verdict is kept in a file
for as long as kernel, QEMU, CPU and device stay the same.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from lodge.base.world import World
from lodge.drivers.instance.qemu.machines import PROGRAM, installed_version
from lodge.drivers.instance.qemu.probe_guest import MARKER, probe_initrd
from lodge.model.record import Record
from lodge.system.errors import ProgramMissingError
from lodge.system.files import write_whole
from lodge.system.identity import GUEST_GID, LAST_GUEST_UID
from lodge.system.process import Completed, find_program, run
from lodge.system.procfs import cpu_model_name, kernel_release

__all__ = [
    "KVM_DEVICE",
    "AccelerationProbe",
    "Verdict",
    "as_guest",
    "boot_probe",
    "find_kernel",
    "kvm_groups",
]

KVM_DEVICE: Final = Path("/dev/kvm")
_PROBE_MEMORY_MIB: Final = 256
_GRACE_S: Final = 5.0
_TIMED_OUT: Final = (124, 137)  # timeout(1): ended by TERM, or by KILL
_TAIL_CHARACTERS: Final = 300


class Verdict(Record, frozen=True, kw_only=True):
    """What guests run on (``kvm`` or ``tcg``) and why; ``is_proven``: found out by trying."""

    accelerator: str
    reason: str
    is_proven: bool
    seconds: float = 0.0


class _Kept(Record, frozen=True, kw_only=True):
    key: tuple[str, ...]
    verdict: Verdict


def kvm_groups(device: Path = KVM_DEVICE) -> tuple[int, ...]:
    """Return the extra groups a guest's process needs to open the KVM device; none if it cannot."""
    try:
        facts = device.stat()
    except FileNotFoundError:
        return ()
    return (facts.st_gid,) if facts.st_mode & 0o060 == 0o060 and facts.st_gid else ()


def find_kernel(folders: Sequence[Path]) -> Path | None:
    """Find a kernel to prove KVM with: the host's running one, else any in these folders.

    A folder holds kernels by name (``/boot``), or folders with one each (Lodge's images).
    """
    for folder in folders:
        running = folder / f"vmlinuz-{kernel_release()}"
        others = (*sorted(folder.glob("vmlinuz*"), reverse=True), *folder.glob("*/vmlinuz"))
        for kernel in (running, *others):
            if kernel.is_file():
                return kernel
    return None


def _refusal(device: Path) -> str | None:
    """Say why a guest's process can never open the device, or null."""
    try:
        facts = device.stat()
    except FileNotFoundError:
        return f"{device} does not exist: the CPU has no virtualization, or KVM is not loaded"
    if facts.st_mode & 0o006 == 0o006 or kvm_groups(device):
        return None
    if os.geteuid() == LAST_GUEST_UID:
        return None if os.access(device, os.R_OK | os.W_OK) else f"no permission to open {device}"
    mode = facts.st_mode & 0o777
    return (
        f"no permission: guests run as their own users, and {device} has mode {mode:04o};"
        f" run: chgrp kvm {device} && chmod 0660 {device}"
    )


class AccelerationProbe:
    """Find the verdict once, however many ask, and keep it.

    Args:
        cache: JSON file that keeps the verdict over restarts.
        world: clock.
        kernels: folders to look for a kernel in, the best first.
        device: the KVM device.
    """

    def __init__(
        self,
        cache: Path,
        world: World,
        *,
        kernels: Sequence[Path] = (Path("/boot"),),
        device: Path = KVM_DEVICE,
    ) -> None:
        self._cache = cache
        self._world = world
        self._kernels = kernels
        self._device = device
        self._lock = asyncio.Lock()
        self._known: _Kept | None = None
        self._version: tuple[tuple[int, int], str] | None = None

    async def verdict(
        self, kernel: Path | None = None, initrd: Path | None = None, *, timeout_s: float = 15.0
    ) -> Verdict:
        """Return the kept verdict, or find it with this kernel (null: the first found).

        ``initrd`` null: Lodge's own, of one program. Calls at the same time share one probe. A
        verdict for want of a kernel or of QEMU is not kept: the next call tries again.
        """
        async with self._lock:
            try:
                key = await self._key()
            except ProgramMissingError:
                return Verdict(accelerator="tcg", reason="QEMU is not installed", is_proven=False)
            kept = self._known or self._read()
            if kept is None or kept.key != key:
                verdict = await self._find(kernel or find_kernel(self._kernels), initrd, timeout_s)
                if not verdict.is_proven:
                    return verdict
                kept = _Kept(key=key, verdict=verdict)
                self._cache.parent.mkdir(parents=True, exist_ok=True)
                write_whole(self._cache, msgspec.json.format(msgspec.json.encode(kept)))
            self._known = kept
            return kept.verdict

    async def forget(self) -> None:
        """Throw the kept verdict away, so that the next call tries again."""
        async with self._lock:
            self._known = None
            self._cache.unlink(missing_ok=True)

    def _read(self) -> _Kept | None:
        try:
            return msgspec.json.decode(self._cache.read_bytes(), type=_Kept)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    async def _key(self) -> tuple[str, ...]:
        try:
            facts = self._device.stat()
            device = f"{facts.st_rdev}:{facts.st_mode:o}:{facts.st_gid}"
        except FileNotFoundError:
            device = "none"
        return (kernel_release(), await self._qemu(), cpu_model_name(), device)

    async def _qemu(self) -> str:
        """Return QEMU's version; its program is asked again only when it was replaced."""
        facts = find_program(PROGRAM).stat()
        now = (facts.st_mtime_ns, facts.st_ino)
        if self._version is None or self._version[0] != now:
            self._version = (now, await installed_version())
        return self._version[1]

    async def _find(self, kernel: Path | None, initrd: Path | None, timeout_s: float) -> Verdict:
        refused = _refusal(self._device)
        if refused is not None:
            return Verdict(accelerator="tcg", reason=refused, is_proven=True)
        if kernel is None:
            return Verdict(
                accelerator="tcg",
                reason="unproven, using TCG: there is no kernel yet to start a guest with",
                is_proven=False,
            )
        began = self._world.monotonic()
        failure = await boot_probe(
            "kvm", kernel, initrd, timeout_s=timeout_s, groups=kvm_groups(self._device)
        )
        seconds = round(self._world.monotonic() - began, 3)
        if failure is None:
            reason = f"a guest came up under KVM in {seconds:.1f} s"
            return Verdict(accelerator="kvm", reason=reason, is_proven=True, seconds=seconds)
        return Verdict(accelerator="tcg", reason=failure, is_proven=True, seconds=seconds)


async def boot_probe(
    accelerator: str,
    kernel: Path,
    initrd: Path | None = None,
    *,
    timeout_s: float,
    groups: Sequence[int] = (),
) -> str | None:
    """Start the smallest guest under ``kvm`` or ``tcg``; null when it said its line, else why not.

    Leaves no process and no file, also when cancelled; a daemon killed meanwhile leaves a QEMU
    that ends by itself at the time limit.
    """
    folder = Path(tempfile.mkdtemp(prefix="lodge-probe-"))
    try:
        argv = await asyncio.to_thread(_prepare, folder, kernel, initrd)
        argv = [*as_guest(groups), *argv, *_accelerated(accelerator)]
        # timeout(1) outlives this daemon, a deadline kept here would not.
        limited = ["timeout", f"--kill-after={_GRACE_S:g}", f"{timeout_s:g}", *argv]
        ended = await run(limited, timeout_s=timeout_s + 3 * _GRACE_S, is_checked=False)
        said = _serial(folder).read_bytes() if _serial(folder).exists() else b""
        return None if MARKER in said else _explain(ended, said, accelerator, timeout_s)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _serial(folder: Path) -> Path:
    return folder / "serial.log"


def _prepare(folder: Path, kernel: Path, initrd: Path | None) -> list[str]:
    """Copy what the guest needs: distributions keep kernels readable for root only."""
    if os.geteuid() == 0:
        os.chown(folder, LAST_GUEST_UID, GUEST_GID)
    shutil.copyfile(kernel, folder / "kernel")
    if initrd is None:
        (folder / "initrd").write_bytes(probe_initrd())
    else:
        shutil.copyfile(initrd, folder / "initrd")
    return [
        PROGRAM,
        *("-machine", "q35", "-m", str(_PROBE_MEMORY_MIB), "-nodefaults", "-no-user-config"),
        *("-display", "none", "-no-reboot", "-serial", f"file:{_serial(folder)}"),
        *("-kernel", str(folder / "kernel"), "-initrd", str(folder / "initrd")),
        *("-append", "console=ttyS0 panic=-1"),
    ]


def as_guest(groups: Sequence[int]) -> list[str]:
    """Return the words before a command that runs it as guests run: no user's rights but its own.

    Nothing when the daemon is not root and cannot change users.
    """
    if os.geteuid() != 0:
        return []
    ids = [f"--reuid={LAST_GUEST_UID}", f"--regid={GUEST_GID}"]
    wanted = ",".join(str(group) for group in groups)
    return ["setpriv", *ids, f"--groups={wanted}" if wanted else "--clear-groups"]


def _accelerated(accelerator: str) -> list[str]:
    return ["-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max"]


def _explain(ended: Completed, said: bytes, accelerator: str, timeout_s: float) -> str:
    name = accelerator.upper()
    last = " ".join(ended.stderr.decode(errors="replace").split())[-_TAIL_CHARACTERS:]
    if ended.exit_status in _TIMED_OUT:
        seen = said.decode(errors="replace").strip().splitlines()
        told = f"its last line was {seen[-1].strip()!r}" if seen else "it printed nothing"
        return f"a guest under {name} did not come up within {timeout_s:g} s: {told}"
    if ended.exit_status < 0 or ended.exit_status > 128:
        return f"QEMU aborted under {name}: {last or 'it said nothing'}"
    if ended.exit_status:
        return f"QEMU did not start under {name}: {last or 'it said nothing'}"
    return f"a guest under {name} ended without saying that it came up"

"""Start one QEMU: folder, logs, ports, process, cgroup, monitor, and only then the guest's CPUs.

The order matters for a daemon that is killed in between: the note is written right after the
process exists, and a process without a note is found by its user.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Final

from lodge.base.units import MIB
from lodge.base.world import World
from lodge.drivers.instance.contract import InstancePlan
from lodge.drivers.instance.errors import (
    DriverRefusedError,
    DriverTimeoutError,
    HandleLostError,
    InstanceStartError,
)
from lodge.drivers.instance.qemu.adopt import drop_note, write_note
from lodge.drivers.instance.qemu.devices import places_of
from lodge.drivers.instance.qemu.firmware import make_nvram
from lodge.drivers.instance.qemu.handle import QemuHandle
from lodge.drivers.instance.qemu.host import Host
from lodge.drivers.instance.qemu.logs import log_path, prepare_log, rotate, size_of
from lodge.drivers.instance.qemu.probe import kvm_groups
from lodge.drivers.instance.qemu.render import LaunchFacts, Sockets, Vsock, cpu_model, render
from lodge.drivers.instance.qemu.running import Running
from lodge.model.instance import Firmware
from lodge.system.cgroup import CgroupError, Cgroups, clear
from lodge.system.files import make_folder
from lodge.system.identity import FIRST_GUEST_UID, GUEST_GID
from lodge.system.process import (
    ProcessIdentity,
    ProcessUser,
    kill,
    spawn_detached,
    started_at,
    wait_gone,
)
from lodge.system.procfs import tsc_khz
from lodge.system.threads import in_thread

__all__ = ["Launcher"]

_CONNECT_LIMIT_S: Final = 30.0
_LOAD_BASE_S: Final = 60.0
_LOAD_BYTES_PER_S: Final = 20 * MIB
_POLL_S: Final = 0.005
_FIRST_CID: Final = 1000
_VHOST_VSOCK: Final = Path("/dev/vhost-vsock")


class Launcher:
    """Start QEMUs on this host."""

    def __init__(self, host: Host, world: World, cgroups: Cgroups | None) -> None:
        self.host = host
        self._world = world
        self._cgroups = cgroups

    async def launch(
        self,
        plan: InstancePlan,
        saved: Path | None,
        know: Callable[[QemuHandle], Running],
    ) -> Running:
        """Start it and let its CPUs run; on any failure nothing of it is left.

        Args:
            plan: what to run; nothing of it runs yet.
            saved: memory to go on from.
            know: makes the daemon's side of a process.

        Raises:
            InstanceStartError: QEMU ended, or could not load the memory; with its last words.
            DriverTimeoutError: QEMU came up but did not answer.
        """
        try:
            handle = await self._spawn(plan, is_incoming=saved is not None)
        except BaseException:
            await self.clear(plan.id, plan.run_dir)
            raise
        running = know(handle)
        running.agent.is_open = False
        try:
            write_note(handle)
            await running.connect(timeout_s=_CONNECT_LIMIT_S)
            await self._let_run(running, saved)
        except (HandleLostError, DriverTimeoutError, DriverRefusedError) as error:
            is_dead = not running.is_alive()
            await self.abandon(running)
            raise self._told(plan, running, error, is_dead=is_dead) from error
        except BaseException:
            await self.abandon(running)
            raise
        running.watch()
        return running

    async def _start(
        self, instance_id: str, spawn: Callable[[], ProcessIdentity]
    ) -> ProcessIdentity:
        """Start a process in the instance's group; a caller that is cancelled leaves none."""
        started: list[ProcessIdentity] = []

        def start() -> None:
            if self._cgroups is None:
                started.append(spawn())
                return
            self._cgroups.create(instance_id)
            started.append(self._cgroups.start_in(instance_id, spawn))

        try:
            await in_thread(start)
        except BaseException:
            for process in started:
                kill(process)
                await wait_gone(process)
            raise
        return started[0]

    async def _spawn(self, plan: InstancePlan, *, is_incoming: bool) -> QemuHandle:
        accelerator = (await self.host.acceleration()).name
        options = self.host.options
        _prepare_folders(plan)
        places = places_of(plan, spare_ports=options.spare_ports)
        with ExitStack() as opened:
            taps = {nic.name: await in_thread(_opened, opened, nic.open_port) for nic in plan.nics}
            vsock = _open_vsock(opened, plan.uid)
            facts = LaunchFacts(
                accelerator=accelerator,
                cpu_model=cpu_model(plan.spec.cpu.model, accelerator),
                sockets=Sockets.within(plan.run_dir),
                serial_log=log_path(plan.state_dir, "serial"),
                addresses=places,
                firmware=self.host.firmware(),
                options=options,
                tap_fds=taps,
                nvram=self._nvram(plan),
                is_incoming=is_incoming,
                tsc_khz=tsc_khz(),
                vsock=vsock,
            )
            qemu_log = log_path(plan.state_dir, "qemu")
            log_offset = size_of(qemu_log)
            spawn = partial(
                spawn_detached,
                render(plan, facts),
                log=qemu_log,
                pass_fds=[*taps.values(), *([vsock.fd] if vsock else [])],
                user=_user(plan.uid, accelerator),
            )
            process = await self._start(plan.id, spawn)
        return QemuHandle(
            pid=process.pid,
            start_ticks=process.start_ticks,
            uid=plan.uid,
            started_at=started_at(process),
            run_dir=str(plan.run_dir),
            state_dir=str(plan.state_dir),
            accelerator=accelerator,
            machine=plan.machine_version,
            log_offset=log_offset,
            places=places,
        )

    def _nvram(self, plan: InstancePlan) -> Path | None:
        template = self.host.firmware().ovmf_vars
        if plan.spec.boot.firmware is not Firmware.UEFI or template is None:
            return None
        nvram = plan.state_dir / "nvram"
        make_nvram(template, nvram, uid=plan.uid)
        return nvram

    async def _let_run(self, running: Running, saved: Path | None) -> None:
        # A guest that switches itself off leaves its process waiting, so that this is known even
        # when it happens while no daemon watches; the daemon then ends the process.
        await running.session.execute("set-action", {"shutdown": "pause"})
        _lock_folder(running.handle)
        if saved is not None:
            await self._load(running, saved)
        await running.session.execute("cont")

    async def _load(self, running: Running, saved: Path) -> None:
        with saved.open("rb") as memory:
            await running.session.execute("getfd", {"fdname": "saved"}, send_fd=memory.fileno())
        await running.session.execute("migrate-incoming", {"uri": "fd:saved"})
        # QEMU reads the file in its main loop and answers nothing meanwhile.
        limit = _LOAD_BASE_S + size_of(saved) / _LOAD_BYTES_PER_S
        while await running.status(timeout_s=limit) == "inmigrate":
            await self._world.sleep(_POLL_S)

    async def abandon(self, running: Running) -> None:
        """Kill a QEMU that is not watched and remove what it leaves, without a signal."""
        await running.close()
        kill(running.handle.identity)
        await wait_gone(running.handle.identity)
        await self.tidy(running)

    def _told(
        self, plan: InstancePlan, running: Running, error: Exception, *, is_dead: bool
    ) -> Exception:
        if isinstance(error, DriverTimeoutError) and not is_dead:
            return error
        said = running.last_words() or str(error)
        return InstanceStartError(
            f"instance {plan.name!r} did not start: {said}", where=plan.name, output=said
        )

    async def tidy(self, running: Running) -> None:
        """Remove what a QEMU that is gone left behind."""
        with suppress(CgroupError):  # an empty group that stays behind must not hide the end
            await self.clear(running.instance_id, running.handle.folder)

    async def clear(self, instance_id: str, run_dir: Path) -> None:
        """Remove run folder, note and cgroup (with all processes in it); idempotent.

        Raises:
            CgroupError: a process hangs in the kernel and cannot be ended.
        """
        shutil.rmtree(run_dir, ignore_errors=True)
        drop_note(run_dir)
        if self._cgroups is not None:
            await clear(self._cgroups, instance_id, self._world)


def _prepare_folders(plan: InstancePlan) -> None:
    shutil.rmtree(plan.run_dir, ignore_errors=True)
    make_folder(plan.run_dir, mode=0o700, uid=plan.uid)
    qemu_log = log_path(plan.state_dir, "qemu")
    prepare_log(log_path(plan.state_dir, "serial"), uid=plan.uid)
    prepare_log(qemu_log, uid=os.geteuid())
    rotate(qemu_log)


def _lock_folder(handle: QemuHandle) -> None:
    """Take the run folder from QEMU, which has made its sockets by now and answers.

    Nothing of the guest has run yet. From here on a QEMU that its guest takes over can put no
    link, pipe or deep tree in the place of what the daemon opens or removes there. The group
    keeps the number of the user, by which a daemon that lost its note finds the process.
    """
    os.chmod(handle.folder, 0o700)
    os.chown(handle.folder, os.geteuid(), handle.uid)


def _opened(opened: ExitStack, open_port: Callable[[], int] | None) -> int:
    if open_port is None:
        raise InstanceStartError("a nic has no port to open", hint="")
    port = open_port()
    opened.callback(os.close, port)
    return port


def _open_vsock(opened: ExitStack, uid: int) -> Vsock | None:
    """Open the host's vsock device; a host without it runs guests without."""
    try:
        device = os.open(_VHOST_VSOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    opened.callback(os.close, device)
    return Vsock(_FIRST_CID + uid - FIRST_GUEST_UID, device)


def _user(uid: int, accelerator: str) -> ProcessUser | None:
    if uid == os.geteuid():
        return None
    # The group with the user's own number lets it pass through to its state folder.
    groups = kvm_groups() if accelerator == "kvm" else ()
    return ProcessUser(uid, GUEST_GID, (uid, *groups))

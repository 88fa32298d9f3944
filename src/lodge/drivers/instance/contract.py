"""What an instance driver must do, and what it may additionally do.

Facts about a running instance that the driver needs after a restart of the daemon live in its
``Handle``: a small JSON-able mapping kept in the store. Every method is idempotent.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from lodge.model.host import Capability
from lodge.model.instance import InstanceKind, InstanceSpec, Power

__all__ = [
    "Accelerates",
    "Acceleration",
    "AttachedDisk",
    "AttachedNic",
    "Capabilities",
    "ConsoleSession",
    "Consoles",
    "Ended",
    "ExecOutcome",
    "GuestAgent",
    "Handle",
    "InstanceDriver",
    "InstancePlan",
    "InstanceTraits",
    "Listener",
    "Logs",
    "Observation",
    "Reset",
    "Screens",
    "Signal",
    "SpaceGuard",
    "Suspend",
]

Handle = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InstanceTraits:
    """Facts the platform plans with."""

    kinds: frozenset[InstanceKind]
    is_local: bool  # its instances run on this host and share its memory


@dataclass(frozen=True, slots=True)
class AttachedDisk:
    """A disk resolved for the driver. ``chain`` lists the image files below, nearest first."""

    name: str
    path: Path
    format: str
    is_read_only: bool = False
    bus: str = "virtio"
    chain: Sequence[tuple[Path, str]] = ()


@dataclass(frozen=True, slots=True)
class AttachedNic:
    """A nic resolved for the driver.

    ``open_port`` makes its tap (idempotent) and returns an open file descriptor, which the driver
    hands to the guest's process and then closes.
    """

    name: str
    mac: str
    mtu: int
    open_port: Callable[[], int] | None = None


@dataclass(frozen=True, slots=True)
class InstancePlan:
    """Everything a driver needs to run one instance; made by the services from records.

    ``run_dir`` is for sockets and is lost with a reboot; ``state_dir`` is for what must survive
    (firmware variables, logs). Both belong to ``uid``.
    """

    id: str
    name: str
    spec: InstanceSpec
    machine_version: str
    uid: int
    run_dir: Path
    state_dir: Path
    disks: Sequence[AttachedDisk] = ()
    nics: Sequence[AttachedNic] = ()
    seed: Path | None = None
    kernel: Path | None = None
    initrd: Path | None = None
    vmlinux: Path | None = None  # uncompressed kernel (PVH) for microvm
    command_line: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """What the driver sees now. ``started_at`` is the wall clock of the process's start.

    ``ended`` says why it is ``STOPPED``, when the driver found out only now (it ended while no
    daemon watched, so no ``ENDED`` signal was sent); null when unknown or told before.
    """

    power: Power | None
    started_at: float | None = None
    pid: int | None = None
    accelerator: str = ""
    reason: str = ""
    addresses: Sequence[str] = ()
    agent_answers: bool = False
    ended: "Ended | None" = None


class Signal(StrEnum):
    """What a driver tells by itself, between observations."""

    STARTED = "started"  # vCPUs run (also after a resume)
    PAUSED = "paused"
    ENDED = "ended"  # its process is gone; see ``Ended``
    RESET = "reset"
    NO_SPACE = "no_space"  # a write failed for lack of room; the guest is paused, nothing is lost
    IO_ERROR = "io_error"
    AGENT = "agent"  # the guest agent came or went


class Ended(StrEnum):
    """Why an instance ended."""

    GUEST = "guest"  # the guest switched itself off
    ASKED = "asked"  # stop() was called
    CRASHED = "crashed"  # its process died
    PANICKED = "panicked"  # the guest's kernel gave up


Listener = Callable[[str, Signal, Mapping[str, Any]], None]
"""Called with (instance id, signal, data); never blocks.

``ENDED`` carries ``{"why": Ended, "detail": str}``.
"""


class InstanceDriver(Protocol):
    """Run instances. Methods taking a handle raise ``HandleLostError`` when nothing runs under it.

    Driver errors: ``InstanceStartError`` (with the tail of the process's own log),
    ``DriverTimeoutError`` (the instance does not answer in time), ``HandleLostError``.
    """

    name: ClassVar[str]
    traits: ClassVar[InstanceTraits]

    def listen(self, listener: Listener, /) -> None:
        """Call the listener for every signal from now on."""
        ...

    async def machine_version(self, spec: InstanceSpec, /) -> str:
        """Return the versioned machine type to pin for a new instance."""
        ...

    async def check(self, plan: InstancePlan, /) -> None:
        """Refuse a plan that this driver on this host can never run; reads only."""
        ...

    async def start(self, plan: InstancePlan, /, *, saved: Path | None = None) -> Handle:
        """Run it (from the saved memory file when given); if it runs already, return its handle."""
        ...

    async def stop(self, plan_id: str, handle: Handle, /) -> None:
        """Pull the plug and wait until every process of it is gone."""
        ...

    async def shutdown(self, plan_id: str, handle: Handle, /) -> None:
        """Ask the guest to end (agent, else power button); returns at once, ``ENDED`` follows."""
        ...

    async def pause(self, plan_id: str, handle: Handle, /) -> None:
        """Stop its vCPUs; memory stays."""
        ...

    async def resume(self, plan_id: str, handle: Handle, /) -> None:
        """Let its vCPUs run again."""
        ...

    async def observe(self, plan_id: str, handle: Handle, /) -> Observation:
        """Look at it now; a process that is gone is ``STOPPED``, one that hangs is power None."""
        ...

    async def recover(self, plan_id: str, handle: Handle, /) -> Observation:
        """Find it again after a restart of the daemon and go on listening to it."""
        ...

    async def forget(self, plan_id: str, run_dir: Path, /) -> None:
        """Remove every leftover (processes, sockets, cgroups) of an instance that must not run."""
        ...

    async def close(self) -> None:
        """Let go of all connections; the instances go on running."""
        ...


@runtime_checkable
class Reset(Protocol):
    """Optional: hard reset without leaving the process."""

    async def reset(self, plan_id: str, handle: Handle, /) -> None:
        """Press the reset button."""
        ...


@runtime_checkable
class Suspend(Protocol):
    """Optional: memory to a file and back."""

    async def suspend(
        self,
        plan_id: str,
        handle: Handle,
        target: Path,
        /,
        progress: Callable[[int, int | None], None],
    ) -> None:
        """Write memory and device state to ``target`` and end; on failure the guest goes on.

        ``target`` appears whole and before the end, so that a second call after a crash of the
        daemon finds it and only sees to the end.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExecOutcome:
    """How a command in the guest ended."""

    exit_status: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    is_truncated: bool = False


@runtime_checkable
class GuestAgent(Protocol):
    """Optional: what an agent in the guest does.

    Errors: ``AgentMissingError``, ``AgentError``.
    """

    async def execute(
        self,
        plan_id: str,
        handle: Handle,
        command: Sequence[str],
        /,
        *,
        stdin: bytes | None,
        environment: Mapping[str, str],
        timeout_s: float,
    ) -> ExecOutcome:
        """Run a command to its end."""
        ...

    def read_file(self, plan_id: str, handle: Handle, path: str, /) -> AsyncIterator[bytes]:
        """Yield a guest file's bytes."""
        ...

    async def write_file(
        self,
        plan_id: str,
        handle: Handle,
        path: str,
        data: AsyncIterator[bytes],
        /,
        *,
        mode: int | None,
    ) -> int:
        """Write a guest file through a temporary name beside it; returns the bytes written."""
        ...


@runtime_checkable
class Consoles(Protocol):
    """Optional: a serial console that several viewers share."""

    async def console(self, plan_id: str, handle: Handle, /) -> "ConsoleSession":
        """Open one viewer's session, beginning with the recent output."""
        ...


class ConsoleSession(Protocol):
    """One viewer of a console."""

    def output(self) -> AsyncIterator[bytes]:
        """Yield what the guest prints until the session or the instance ends."""
        ...

    async def write(self, data: bytes, /) -> None:
        """Type something."""
        ...

    async def close(self) -> None:
        """Leave."""
        ...


@runtime_checkable
class Screens(Protocol):
    """Optional: a graphical screen."""

    async def screenshot(self, plan_id: str, handle: Handle, /) -> bytes:
        """Return the screen as PNG."""
        ...

    def vnc_socket(self, plan_id: str, handle: Handle, /) -> Path:
        """Where the VNC server listens (a unix socket)."""
        ...


@runtime_checkable
class Logs(Protocol):
    """Optional: logs kept per instance."""

    def log_files(self, state_dir: Path, /) -> Mapping[str, Sequence[Path]]:
        """Name of log (``serial``, ``qemu``) to its files, oldest first."""
        ...


@runtime_checkable
class SpaceGuard(Protocol):
    """Optional: hold a guest's disk writes back while its pool is full, by pausing it."""

    async def hold_for_space(self, plan_id: str, handle: Handle, /) -> None:
        """Pause it with the reason ``pool is full``."""
        ...


@dataclass(frozen=True, slots=True)
class Acceleration:
    """How instances execute here; ``reason`` says how that was found out, or why nothing better.

    ``is_proven``: a guest really ran that way on this machine.
    """

    name: str
    reason: str
    is_proven: bool


@runtime_checkable
class Accelerates(Protocol):
    """Optional: drivers whose instances may run with or without hardware acceleration."""

    async def acceleration(self) -> Acceleration:
        """Return the verdict, found by trying; cheap when it was found before."""
        ...


@runtime_checkable
class Capabilities(Protocol):
    """Optional: drivers that know which programs and devices of the host they use."""

    async def capabilities(self) -> Sequence[Capability]:
        """Try everything this driver uses; reads only, leaves nothing behind."""
        ...

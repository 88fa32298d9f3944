"""The small value by which a running QEMU is found again after a restart of the daemon."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lodge.drivers.instance.contract import Handle
from lodge.drivers.instance.errors import HandleLostError
from lodge.drivers.instance.qemu.render.facts import Sockets
from lodge.system.process import ProcessIdentity

__all__ = ["QemuHandle", "dump_handle", "load_handle"]


class QemuHandle(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, where its sockets are, and what its devices are called.

    ``places`` maps a device's id to where it sits; ``started_at`` is the wall clock of its
    start; ``log_offset`` is where its own lines begin in ``qemu.log``.
    """

    pid: int
    start_ticks: int
    uid: int
    started_at: float
    run_dir: str
    state_dir: str
    accelerator: str
    machine: str
    log_offset: int = 0
    places: dict[str, str] = {}

    @property
    def identity(self) -> ProcessIdentity:
        """The process for certain."""
        return ProcessIdentity(self.pid, self.start_ticks)

    @property
    def folder(self) -> Path:
        """Where its sockets are."""
        return Path(self.run_dir)

    @property
    def state(self) -> Path:
        """Where its logs are."""
        return Path(self.state_dir)

    @property
    def sockets(self) -> Sockets:
        """Where it listens."""
        return Sockets.within(self.folder)


def dump_handle(handle: QemuHandle) -> dict[str, Any]:
    """Return the JSON form that the store keeps."""
    built: dict[str, Any] = msgspec.to_builtins(handle)
    return built


def load_handle(handle: Handle) -> QemuHandle:
    """Read the stored form.

    Raises:
        HandleLostError: it is not a handle of this driver.
    """
    if isinstance(handle, Mapping):
        try:
            return msgspec.convert(dict(handle), QemuHandle)
        except msgspec.ValidationError as error:
            raise HandleLostError(f"not a handle of driver 'qemu': {error}") from error
    raise HandleLostError(f"not a handle of driver 'qemu': {handle!r}")

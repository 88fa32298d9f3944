"""Find what already runs: by handle, by the note beside the run folder, by user.

A handle or a note is believed only when a process with that pid *and* start time exists, belongs
to the instance's user and was started on its run folder; a pid given to somebody else since, or a
damaged note, finds nothing.
"""

import os
from pathlib import Path

import msgspec

from lodge.drivers.instance.qemu.handle import QemuHandle
from lodge.system.files import write_whole
from lodge.system.identity import FIRST_GUEST_UID, LAST_GUEST_UID
from lodge.system.process import ProcessIdentity, identify, is_alive

__all__ = ["drop_note", "is_ours", "processes_of", "read_note", "write_note"]

_PROC = Path("/proc")


def _note(run_dir: Path) -> Path:
    # Beside the run folder and not in it: the folder belongs to the instance's own user.
    return run_dir.with_name(f"{run_dir.name}.handle")


def write_note(handle: QemuHandle) -> None:
    """Note what was started, for a daemon that is killed before the store has the handle."""
    write_whole(_note(handle.folder), msgspec.json.encode(handle))


def read_note(run_dir: Path) -> QemuHandle | None:
    """Return the noted handle; null when there is none or it is damaged."""
    try:
        return msgspec.json.decode(_note(run_dir).read_bytes(), type=QemuHandle)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def drop_note(run_dir: Path) -> None:
    """Remove the note; nothing happens when there is none."""
    _note(run_dir).unlink(missing_ok=True)


def is_ours(handle: QemuHandle) -> bool:
    """Whether the very QEMU that the handle names runs."""
    if not is_alive(handle.identity) or _user_of(handle.pid) != handle.uid:
        return False
    try:
        arguments = (_PROC / str(handle.pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return os.fsencode(handle.run_dir).replace(b",", b",,") in arguments


def _user_of(pid: int) -> int | None:
    try:
        text = (_PROC / str(pid) / "status").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next((int(line.split()[1]) for line in text.splitlines() if line[:4] == "Uid:"), None)


def processes_of(uid: int) -> list[ProcessIdentity]:
    """List the live processes of an instance's user; none for a uid that is not an instance's."""
    if not FIRST_GUEST_UID <= uid <= LAST_GUEST_UID:
        return []
    pids = [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]
    found = [identify(pid) for pid in pids if _user_of(pid) == uid]
    return [process for process in found if process is not None and is_alive(process)]

"""Reading and writing the kernel's files, with its refusals told in words."""

import errno
import os
import re
import signal
from contextlib import suppress
from pathlib import Path

from lodge.system.cgroup.errors import CgroupError

__all__ = [
    "check_group_name",
    "counter",
    "cpu_list",
    "explain",
    "kill_each",
    "pids_in",
    "read",
    "remove_folder",
    "subgroups",
    "write",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_REASONS = {
    errno.EROFS: "the cgroup file system is mounted read-only,"
    " as in a container without delegation",
    errno.EACCES: "no permission; the cgroup was not delegated to this process",
    errno.EPERM: "no permission; the cgroup was not delegated to this process",
    errno.EBUSY: "processes sit directly in that cgroup, as in the root cgroup of a container;"
    " move them into a cgroup of their own",
    errno.ENOENT: "this kernel does not have it",
    errno.EINVAL: "the kernel takes no such value here",
    errno.ESRCH: "the process is gone",
    errno.ENOSPC: "no CPUs or memory nodes are given to the parent cgroup",
}


def explain(error: OSError) -> str:
    """Say what an error number means for control groups (cgroups(7), Documentation/cgroup-v2)."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))


def check_group_name(name: str) -> None:
    """Refuse a name that would leave the prefix's folder.

    Raises:
        CgroupError: not a plain name.
    """
    if not _NAME.fullmatch(name):
        raise CgroupError(f"{name!r} is not a name for a cgroup", where=name)


def write(path: Path, text: str) -> None:
    """Write one value.

    Raises:
        CgroupError: the kernel refused it.
    """
    try:
        path.write_text(text, encoding="ascii")
    except OSError as error:
        raise CgroupError(
            f"cannot write {text!r} to {path}: {explain(error)}", where=str(path)
        ) from error


def read(path: Path) -> str | None:
    """Read a value; null when the file or the group does not exist."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENODEV:  # the group was removed while its file was open
            return None
        raise CgroupError(f"cannot read {path}: {explain(error)}", where=str(path)) from error


def counter(text: str | None, key: str) -> int | None:
    r"""Find ``key NUMBER`` in a flat keyed file.

    >>> counter("usage_usec 120\nuser_usec 100", "user_usec")
    100
    """
    for line in (text or "").splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.isdigit():
            return int(value)
    return None


def cpu_list(cpus: frozenset[int]) -> str:
    """Write CPU numbers the way cpuset files take them.

    >>> cpu_list(frozenset({5, 1, 2}))
    '1,2,5'
    """
    return ",".join(str(cpu) for cpu in sorted(cpus))


def pids_in(group: Path) -> tuple[int, ...]:
    """List a group's processes.

    Those of another pid namespace show as 0 and are left out, and so is the daemon itself: a
    thread of it may be in the group for a moment, to start a process there.
    """
    found = (int(word) for word in (read(group / "cgroup.procs") or "").split())
    return tuple(pid for pid in found if pid not in (0, os.getpid()))


def kill_each(group: Path) -> None:
    """Send SIGKILL to each member, by a handle that cannot mean another process."""
    for pid in pids_in(group):
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                if pid in pids_in(group):  # the pid is still the member it was
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
            finally:
                os.close(handle)


def subgroups(folder: Path) -> tuple[str, ...]:
    """Name the groups directly below a folder."""
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))
    except FileNotFoundError:
        return ()


def remove_folder(group: Path) -> bool:
    """Remove a group; false while it is in use.

    Raises:
        CgroupError: the kernel refused for another reason.
    """
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
            return False
        raise CgroupError(f"cannot remove {group}: {explain(error)}", where=str(group)) from error
    return True

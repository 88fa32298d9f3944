"""Kernel settings of the calling thread's network namespace (``/proc/sys``)."""

import os
from pathlib import Path

from lodge.system.errors import KernelRefusedError

__all__ = ["has_sysctl", "read_sysctl", "write_sysctl"]

_ROOT = Path("/proc/sys")


def _path(name: str) -> Path:
    """Names are paths (``net/ipv4/ip_forward``): interface names may contain dots."""
    return _ROOT / name


def has_sysctl(name: str) -> bool:
    """Whether this kernel has the setting."""
    return _path(name).exists()


def read_sysctl(name: str) -> str | None:
    """Return the value, or null when this kernel has no such setting."""
    try:
        return _path(name).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None


def write_sysctl(name: str, value: str) -> bool:
    """Set a value unless it is set already; false when nothing had to be changed.

    Raises:
        KernelRefusedError: no such setting, or it may not be written (read-only /proc/sys).
    """
    if read_sysctl(name) == value:
        return False
    try:
        handle = os.open(_path(name), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, value.encode("ascii"))
        finally:
            os.close(handle)
    except OSError as error:
        raise KernelRefusedError(
            f"cannot set the kernel setting {name} to {value}: {error.strerror}",
            where=name,
            errno=error.errno,
        ) from error
    return True

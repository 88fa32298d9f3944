"""Tap devices: a guest's network card as seen from the host (linux/if_tun.h)."""

import fcntl
import os
import struct
from typing import Final

from lodge.system.errors import KernelRefusedError

__all__ = ["MAX_INTERFACE_NAME", "open_tap"]

MAX_INTERFACE_NAME: Final = 15
"""Longest name of a network interface (IFNAMSIZ - 1)."""

_DEVICE = "/dev/net/tun"
_TUNSETIFF, _TUNSETOWNER = 0x400454CA, 0x400454CC
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000


def open_tap(name: str, *, uid: int) -> int:
    """Make a tap in the calling thread's namespace and return a descriptor of it.

    It has no packet information header, has virtio-net headers, and may be attached to by
    ``uid``. It lives as long as a descriptor of it is open.

    Raises:
        KernelRefusedError: no /dev/net/tun, no permission, or (errno EBUSY) somebody holds it.
    """
    try:
        handle = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused("open the tap device", _DEVICE, error) from error
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", name.encode("ascii"), flags))
        fcntl.ioctl(handle, _TUNSETOWNER, uid)
    except OSError as error:
        os.close(handle)
        raise _refused(f"make the tap {name}", name, error) from error
    return handle


def _refused(what: str, where: str, error: OSError) -> KernelRefusedError:
    return KernelRefusedError(f"cannot {what}: {error.strerror}", where=where, errno=error.errno)

"""The graphical screen: a picture of it, and where VNC listens."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from lodge.base.units import MIB
from lodge.drivers.instance.errors import DriverRefusedError, DriverTimeoutError, ScreenMissingError
from lodge.drivers.instance.qemu.handle import QemuHandle
from lodge.drivers.instance.qemu.running import Running
from lodge.drivers.instance.qemu.session import QmpSession

__all__ = ["screenshot", "vnc_socket"]

_LIMIT_S: Final = 10.0
_MOST_BYTES: Final = 64 * MIB
_PNG: Final = b"\x89PNG\r\n"


async def screenshot(running: Running) -> bytes:
    """Return the screen as PNG.

    Raises:
        ScreenMissingError: the machine has no graphics.
        DriverTimeoutError: QEMU does not answer.
    """
    picture = os.memfd_create("screen", os.MFD_CLOEXEC)
    try:
        await _draw(running.session, picture)
        data = os.pread(picture, _MOST_BYTES, 0)
    except DriverRefusedError as error:
        raise ScreenMissingError(f"there is no screen to show: {error}") from error
    finally:
        os.close(picture)
    if not data.startswith(_PNG):
        raise DriverTimeoutError("QEMU drew no picture")
    return data


async def _draw(session: QmpSession, picture: int) -> None:
    """Let QEMU write into memory of ours: it can make no file that the daemon would have to trust.

    QEMU wants a descriptor of exactly the access it opens with (QEMU 7.2, monitor/fds.c).
    """
    handle = os.open(f"/proc/self/fd/{picture}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        answer = await session.execute("add-fd", send_fd=handle)
    finally:
        os.close(handle)
    number = answer.get("fdset-id") if isinstance(answer, dict) else None
    if not isinstance(number, int):
        raise DriverTimeoutError("QEMU answers nonsense", where="add-fd")
    try:
        arguments = {"filename": f"/dev/fdset/{number}", "format": "png"}
        await session.execute("screendump", arguments, timeout_s=_LIMIT_S)
    finally:
        with suppress(DriverTimeoutError, DriverRefusedError):
            await session.execute("remove-fd", {"fdset-id": number})


def vnc_socket(handle: QemuHandle) -> Path:
    """Return the socket on which VNC listens.

    Raises:
        ScreenMissingError: there is none.
    """
    path = handle.sockets.vnc
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        is_socket = False
    if not is_socket:
        raise ScreenMissingError("the machine has no graphics", where=str(path))
    return path

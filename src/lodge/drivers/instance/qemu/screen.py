"""The graphical screen: a picture of it, and where VNC listens."""

import os
import stat
from pathlib import Path
from typing import Final

from lodge.base.units import MIB
from lodge.base.world import World
from lodge.drivers.instance.errors import DriverRefusedError, DriverTimeoutError, ScreenMissingError
from lodge.drivers.instance.qemu.handle import QemuHandle
from lodge.drivers.instance.qemu.running import Running

__all__ = ["screenshot", "vnc_socket"]

_LIMIT_S: Final = 10.0
_MOST_BYTES: Final = 64 * MIB


async def screenshot(running: Running, world: World) -> bytes:
    """Return the screen as PNG.

    Raises:
        ScreenMissingError: the machine has no graphics.
        DriverTimeoutError: QEMU does not answer.
    """
    picture = running.handle.folder / f"screen-{world.random_bytes(6).hex()}.png"
    try:
        await running.session.execute(
            "screendump", {"filename": str(picture), "format": "png"}, timeout_s=_LIMIT_S
        )
        return _read(picture)
    except DriverRefusedError as error:
        raise ScreenMissingError(f"there is no screen to show: {error}") from error
    finally:
        picture.unlink(missing_ok=True)


def _read(picture: Path) -> bytes:
    """Read what QEMU wrote; the folder is QEMU's own, so it may be anything."""
    try:
        handle = os.open(picture, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DriverTimeoutError(f"QEMU wrote no picture: {error.strerror}") from error
    with open(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise DriverTimeoutError("QEMU wrote no picture")
        return file.read(_MOST_BYTES)


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

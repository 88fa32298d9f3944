"""Btrfs subvolumes, by the kernel's own calls: no program needed.

Source: Linux, include/uapi/linux/btrfs.h (struct btrfs_ioctl_vol_args and _v2).
"""

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

__all__ = ["create_subvolume", "delete_subvolume", "is_btrfs", "is_subvolume", "snapshot_subvolume"]

_CREATE: Final = 0x5000940E
_DESTROY: Final = 0x5000940F
_SNAPSHOT: Final = 0x50009417
_FILE_SYSTEM_INFO: Final = 0x8400941F
_ARGUMENTS = struct.Struct("=q4088s")
_ARGUMENTS_V2 = struct.Struct("=qQQ32s4040s")
_READ_ONLY: Final = 1 << 1
_SUBVOLUME_INODE: Final = 256
_NAME_BYTES: Final = 255


def is_btrfs(path: Path) -> bool:
    """Whether a folder lies on btrfs: only btrfs answers its own question about itself."""
    handle = _open_folder(path)
    try:
        fcntl.ioctl(handle, _FILE_SYSTEM_INFO, bytearray(1024))
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL):
            return False
        raise
    finally:
        os.close(handle)
    return True


def is_subvolume(path: Path) -> bool:
    """Whether a folder is the top of a subvolume (its inode number is always 256)."""
    return path.stat().st_ino == _SUBVOLUME_INODE and is_btrfs(path)


def create_subvolume(path: Path) -> None:
    """Make an empty subvolume; its parent exists, the name does not."""
    _call(path.parent, _CREATE, _ARGUMENTS.pack(0, _name(path)))


def snapshot_subvolume(source: Path, target: Path, *, is_read_only: bool) -> None:
    """Make ``target`` a snapshot of the subvolume ``source``; constant in time."""
    handle = _open_folder(source)
    try:
        flags = _READ_ONLY if is_read_only else 0
        _call(target.parent, _SNAPSHOT, _ARGUMENTS_V2.pack(handle, 0, flags, b"", _name(target)))
    finally:
        os.close(handle)


def delete_subvolume(path: Path) -> None:
    """Remove a subvolume with everything in it; the kernel frees the space in the background."""
    _call(path.parent, _DESTROY, _ARGUMENTS.pack(0, _name(path)))


def _name(path: Path) -> bytes:
    name = os.fsencode(path.name)
    if not 0 < len(name) <= _NAME_BYTES:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(path))
    return name


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _call(parent: Path, request: int, arguments: bytes) -> None:
    handle = _open_folder(parent)
    try:
        fcntl.ioctl(handle, request, bytearray(arguments))
    finally:
        os.close(handle)

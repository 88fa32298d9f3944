"""File systems of a given kind and size that nobody else sees and that vanish with the tests.

The test process enters a mount namespace of its own: however it ends, the kernel unmounts
everything and frees the loop devices (losetup's autoclear).
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_CLONE_NEWNS = 0x00020000
_MIB = 1 << 20


@cache
def enter_private_mounts() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@contextmanager
def mounted_tmpfs(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    enter_private_mounts()
    folder.mkdir(exist_ok=True)
    options = f"size={size_bytes},mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def mounted_image(folder: Path, kind: str, *, size_mib: int) -> Iterator[Path]:
    """A file system ``kind`` (ext4, btrfs) in a loop file."""
    enter_private_mounts()
    folder.mkdir(exist_ok=True)
    image = folder.with_name(f"{folder.name}.{kind}.img")
    with image.open("wb") as file:
        os.truncate(file.fileno(), size_mib * _MIB)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True, stdout=-3, stderr=-3)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        image.unlink()

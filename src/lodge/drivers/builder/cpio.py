"""Initial RAM disks: a folder as a ``newc`` archive, byte for byte the same each time.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import gzip
import os
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["newc_archive", "write_initrd"]

_TRAILER = "TRAILER!!!"
_FAST = 1  # the kernel unpacks it once; a smaller file would not be read faster


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    """Build one member: a header of 13 hexadecimal fields, the name, the content."""
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    # inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name size, check
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + encoded) + _padded(content)


def _members(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent) / name for name in sorted([*folders, *files]))


def newc_archive(folder: Path) -> bytes:
    """Archive a folder's files, folders and symbolic links, owned by root, without times."""
    parts = [_entry(1, ".", stat.S_IFDIR | 0o755, b"")]
    for number, path in enumerate(_members(folder), start=2):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            content = os.fsencode(os.readlink(path))
        else:
            content = path.read_bytes() if stat.S_ISREG(mode) else b""
        parts.append(_entry(number, str(path.relative_to(folder)), mode, content))
    parts.append(_entry(0, _TRAILER, 0, b""))
    return b"".join(parts)


def write_initrd(folder: Path, target: Path) -> None:
    """Write a folder as a gzip-compressed initial RAM disk."""
    target.write_bytes(gzip.compress(newc_archive(folder), _FAST, mtime=0))

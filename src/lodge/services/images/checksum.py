"""Published checksums: the forms distributions write them in, and comparing a file with one."""

import asyncio
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lodge.services.images.errors import ChecksumMismatchError, ChecksumMissingError

__all__ = ["Checksum", "find_checksum", "hash_file", "verify_file"]

_ALGORITHMS = {64: "sha256", 128: "sha512"}  # hexadecimal digits to algorithm
_PLAIN = re.compile(r"^([0-9a-fA-F]{64}|[0-9a-fA-F]{128})(?:\s+[ *]?(\S.*))?$")
_TAGGED = re.compile(r"^SHA(?:256|512) \((.+)\) = ([0-9a-fA-F]+)$")
_BLOCK_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Checksum:
    """An expected digest, in lower-case hexadecimal."""

    algorithm: str
    digest: str


def find_checksum(text: str, name: str) -> Checksum:
    r"""Find a file's checksum in a published list.

    Understands ``HASH  NAME`` (coreutils), ``SHA256 (NAME) = HASH`` (BSD), also inside a signed
    message, and a bare hash. The only hash of a file is taken whatever name stands beside it,
    because lists beside a "latest" link name the dated file.

    Raises:
        ChecksumMissingError: the list does not name the file.

    >>> find_checksum("a" * 64 + "  *other\n" + "b" * 64 + "  disk.qcow2", "disk.qcow2").digest[:2]
    'bb'
    """
    found: dict[str, Checksum] = {}
    for line in text.splitlines():
        entry = _entry(line.strip())
        if entry is None:
            continue
        entry_name, checksum = entry
        if entry_name.rpartition("/")[2] == name:
            return checksum
        found[checksum.digest] = checksum
    if len(found) == 1:
        return next(iter(found.values()))
    raise ChecksumMissingError(f"the list of checksums does not name {name!r}", where=name)


def _entry(line: str) -> tuple[str, Checksum] | None:
    if match := _TAGGED.match(line):
        name, digest = match[1], match[2].lower()
    elif match := _PLAIN.match(line):
        name, digest = match[2] or "", match[1].lower()
    else:
        return None
    algorithm = _ALGORITHMS.get(len(digest))
    return None if algorithm is None else (name, Checksum(algorithm, digest))


async def hash_file(
    path: Path, algorithm: str, tell: Callable[[int, int], None] = lambda _done, _total: None
) -> str:
    """Hash a regular file without holding up the loop; never follows a link.

    ``tell`` is called with (bytes done, bytes in all).
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        total = os.fstat(handle).st_size
        digest = hashlib.new(algorithm)
        done = 0
        while block := await asyncio.to_thread(os.pread, handle, _BLOCK_BYTES, done):
            await asyncio.to_thread(digest.update, block)
            done += len(block)
            tell(done, total)
        return digest.hexdigest()
    finally:
        os.close(handle)


async def verify_file(
    path: Path, expected: Checksum, tell: Callable[[int, int], None], *, source: str
) -> None:
    """Compare a file with its checksum.

    Raises:
        ChecksumMismatchError: it has another one; details hold both.
    """
    found = await hash_file(path, expected.algorithm, tell)
    if found != expected.digest:
        raise ChecksumMismatchError(
            f"{source} has {expected.algorithm} {found}, expected was {expected.digest}",
            where=source,
            expected=expected.digest,
            found=found,
        )

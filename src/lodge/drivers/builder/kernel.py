"""The uncompressed kernel (``vmlinux``) out of a ``bzImage``: what PVH boot and microvm need.

The payload is found by the magic number of its compression, as the kernel's own
``scripts/extract-vmlinux`` does.
"""

import lzma
import zlib
from pathlib import Path

from lodge.drivers.builder.errors import BuildFailedError
from lodge.system import process

__all__ = ["find_payload", "unpack_kernel"]

_ELF = b"\x7fELF"
_MAGICS = {
    "lz4": b"\x02\x21\x4c\x18",
    "zstd": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\0",
    "gzip": b"\x1f\x8b\x08",
}
_PROGRAMS = {"lz4": ("lz4", "-d", "-q", "-f"), "zstd": ("zstd", "-d", "-q", "-f", "-o")}


def find_payload(image: bytes) -> list[tuple[str, int]]:
    """List (compression, offset) of what may be the compressed kernel, likeliest first.

    The real payload starts early in the file; a later match is a magic number inside data.
    """
    found = [(name, image.find(magic)) for name, magic in _MAGICS.items()]
    return sorted(((name, at) for name, at in found if at > 0), key=lambda item: item[1])


async def unpack_kernel(image: Path, target: Path) -> None:
    """Write the ELF kernel inside ``image`` to ``target``.

    Raises:
        BuildFailedError: no known compression gave an ELF file.
    """
    data = image.read_bytes()
    for name, offset in find_payload(data):
        if name in _PROGRAMS:
            unpacked = await _by_program(name, data[offset:], target)
        else:
            unpacked = _by_library(name, data[offset:])
        if unpacked.startswith(_ELF):
            target.write_bytes(unpacked)
            return
    raise BuildFailedError(
        f"no uncompressed kernel was found inside {image.name}", where=str(image)
    )


def _by_library(name: str, data: bytes) -> bytes:
    try:
        if name == "xz":
            return lzma.LZMADecompressor().decompress(data)
        return zlib.decompressobj(wbits=31).decompress(data)
    except (lzma.LZMAError, zlib.error):
        return b""


async def _by_program(name: str, data: bytes, target: Path) -> bytes:
    packed = target.with_suffix(f".{name}")
    program, *options = _PROGRAMS[name]
    try:
        packed.write_bytes(data)
        target.unlink(missing_ok=True)
        last = [target, packed] if options[-1] == "-o" else [packed, target]
        # The bytes behind the payload make the program complain although it did its work.
        await process.run([program, *options, *last], is_checked=False)
        return target.read_bytes() if target.exists() else b""
    finally:
        packed.unlink(missing_ok=True)
        target.unlink(missing_ok=True)

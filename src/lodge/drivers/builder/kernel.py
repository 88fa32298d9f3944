"""The uncompressed kernel (``vmlinux``) out of a ``bzImage``: what PVH boot and microvm need.

Source: Linux ``Documentation/arch/x86/boot.rst``, "payload_offset" and "payload_length" (boot
protocol 2.08), and ``scripts/Makefile.lib`` for the size that is appended to the payload.
"""

import asyncio
import lzma
import struct
import zlib
from pathlib import Path

from lodge.drivers.builder.errors import BuildFailedError
from lodge.system import process

__all__ = ["find_payload", "unpack_kernel"]

_ELF = b"\x7fELF"
_MAGIC_OFFSET, _MAGIC = 0x202, b"HdrS"
_SETUP_SECTORS_OFFSET, _PAYLOAD_OFFSET, _SECTOR_BYTES = 0x1F1, 0x248, 512
_OLDEST_PROTOCOL = 0x0208
_APPENDED_BYTES = 4  # the unpacked size, which all but gzip have behind their own end
_COMPRESSIONS = {
    b"\x02\x21\x4c\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\0": "xz",
    b"\x1f\x8b\x08": "gzip",
}


def find_payload(image: bytes) -> tuple[str, bytes]:
    """Return how the kernel inside an image is compressed, and its bytes; pure.

    Raises:
        BuildFailedError: no kernel image, or of a kind that is not known.
    """
    if image[_MAGIC_OFFSET:][:4] != _MAGIC or len(image) < _PAYLOAD_OFFSET + 8:
        raise BuildFailedError("the kernel is no bzImage")
    (protocol,) = struct.unpack_from("<H", image, _MAGIC_OFFSET + 4)
    if protocol < _OLDEST_PROTOCOL:
        raise BuildFailedError(f"the kernel speaks boot protocol {protocol:#x}, which is too old")
    offset, length = struct.unpack_from("<II", image, _PAYLOAD_OFFSET)
    start = ((image[_SETUP_SECTORS_OFFSET] or 4) + 1) * _SECTOR_BYTES + offset
    payload = image[start : start + length]
    for magic, name in _COMPRESSIONS.items():
        if payload.startswith(magic):
            return name, payload if name == "gzip" else payload[:-_APPENDED_BYTES]
    raise BuildFailedError(f"the kernel is compressed in an unknown way: {payload[:8].hex()}")


async def unpack_kernel(image: Path, target: Path) -> None:
    """Write the ELF kernel inside ``image`` to ``target``.

    Raises:
        BuildFailedError: there is none that can be unpacked.
    """
    name, payload = find_payload(await asyncio.to_thread(image.read_bytes))
    if name in ("lz4", "zstd"):
        unpacked = await _by_program(name, payload, target)
    else:
        unpacked = await asyncio.to_thread(_by_library, name, payload)
    if not unpacked.startswith(_ELF):
        raise BuildFailedError(f"what is inside {image.name} is no kernel", where=str(image))
    await asyncio.to_thread(target.write_bytes, unpacked)


def _by_library(name: str, payload: bytes) -> bytes:
    reader = lzma.LZMADecompressor() if name == "xz" else zlib.decompressobj(wbits=31)
    try:
        unpacked = reader.decompress(payload)
    except (lzma.LZMAError, zlib.error) as error:
        raise BuildFailedError(f"the kernel cannot be unpacked: {error}") from error
    if not reader.eof:
        raise BuildFailedError("the kernel cannot be unpacked: its end is missing")
    return unpacked


async def _by_program(name: str, payload: bytes, target: Path) -> bytes:
    packed = target.with_suffix(f".{name}")
    try:
        packed.write_bytes(payload)
        await process.run([name, "-d", "-q", "-f", packed, *_output(name, target)])
        return target.read_bytes()
    finally:
        packed.unlink(missing_ok=True)
        target.unlink(missing_ok=True)


def _output(name: str, target: Path) -> list[str | Path]:
    return [target] if name == "lz4" else ["-o", target]

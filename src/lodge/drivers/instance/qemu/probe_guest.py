"""The smallest guest: an initrd made here whose only program says that it runs.

Any Linux kernel boots it, so KVM can be proven before there is an image. Its program is 64-bit
machine code: it computes in user mode for a moment, writes the marker to the console and resets
the machine.
"""

import gzip
import struct
from typing import Final

__all__ = ["MARKER", "probe_initrd"]

MARKER: Final = b"GUEST UP"
"""What must appear on the serial port; Lodge's tiny image prints it too."""

_LOAD_ADDRESS: Final = 0x400000
_ELF_HEADER, _PROGRAM_HEADER = 64, 56
_ROUNDS: Final = 100_000


def _machine_code(text: bytes) -> bytes:
    """Assemble the program (System V ABI, syscall numbers of x86-64 Linux)."""
    work = b"\xb9" + struct.pack("<I", _ROUNDS)  # mov ecx, rounds
    work += b"\xff\xc9\x75\xfc"  # again: dec ecx; jnz again
    write = b"\xb8\x01\x00\x00\x00\xbf\x01\x00\x00\x00"  # mov eax, 1 (write); mov edi, 1
    write_rest = b"\xba" + struct.pack("<I", len(text)) + b"\x0f\x05"  # mov edx, n; syscall
    reset = b"\xb8\xa9\x00\x00\x00"  # mov eax, 169 (reboot)
    reset += b"\xbf" + struct.pack("<I", 0xFEE1DEAD)  # reboot(2): the two magic numbers
    reset += b"\xbe" + struct.pack("<I", 672274793)
    reset += b"\xba" + struct.pack("<I", 0x01234567) + b"\x0f\x05"  # RESTART; syscall
    rest = write_rest + reset + b"\xeb\xfe"  # jmp self: init must never return
    load_text = b"\x48\x8d\x35" + struct.pack("<i", len(rest))  # lea rsi, [rip + rest]
    return work + write + load_text + rest + text


def _elf(code: bytes) -> bytes:
    """Wrap code into the smallest static executable (elf(5))."""
    start = _ELF_HEADER + _PROGRAM_HEADER
    size = start + len(code)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack(
        "<HHIQQQIHHHHHH",
        *(2, 62, 1, _LOAD_ADDRESS + start, _ELF_HEADER, 0, 0),
        *(_ELF_HEADER, _PROGRAM_HEADER, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return identity + header + segment + code


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """Write one member of a cpio archive (Documentation/driver-api/early-userspace, newc)."""
    raw_name = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw_name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw_name
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def probe_initrd() -> bytes:
    """Return the initrd; the same bytes each time."""
    program = _elf(_machine_code(b"\n" + MARKER + b"\n"))
    archive = (
        _entry("dev", 0o040755)
        + _entry("dev/console", 0o020600, device=(5, 1))
        + _entry("init", 0o100755, program)
        + _entry("TRAILER!!!", 0)
    )
    return gzip.compress(archive, mtime=0)

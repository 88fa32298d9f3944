"""Sizes in and out: bytes inside, binary units for people."""

import re

from lodge.base.errors import InvalidError

__all__ = ["GIB", "KIB", "MIB", "TIB", "InvalidSizeError", "format_size", "parse_mib", "parse_size"]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_FACTORS = {"": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}
_SIZE = re.compile(r"(?P<number>\d{1,15}(?:\.\d{1,9})?)\s*(?:(?P<unit>[kmgt])(?:ib)?|b)?", re.I)
_DECIMAL_UNIT = re.compile(r"\d+(?:\.\d+)?\s*[kmgt]b", re.I)
MAX_SIZE_BYTES = 2**63 - 1


class InvalidSizeError(InvalidError):
    """A size is not written as a number with a binary unit."""

    code = "invalid_size"
    hint_text = "write a number with KiB, MiB, GiB or TiB (or K, M, G, T), such as 512MiB or 1.5GiB"


def parse_size(text: str, *, where: str = "size") -> int:
    """Read a size written by a person, in bytes.

    Binary units only: ``4GiB``, ``4G``, ``4 gib`` and ``1.5g`` are understood. ``GB`` is refused,
    because half of the readers mean 10^9 bytes by it and the other half 2^30.

    Raises:
        InvalidSizeError: not a size, zero, not a whole number of bytes, or larger than 2^63 - 1.

    >>> parse_size("1.5GiB")
    1610612736
    >>> parse_size("4 gib") == parse_size("4G") == 4 * GIB
    True
    """
    cleaned = text.strip()
    if _DECIMAL_UNIT.fullmatch(cleaned):
        unit = cleaned[-2].upper()
        raise InvalidSizeError(
            f"{text!r} is ambiguous: {unit}B may mean powers of 1000 or of 1024",
            where=where,
            hint=f"write {cleaned[:-2].strip()}{unit}iB for powers of 1024",
        )
    match = _SIZE.fullmatch(cleaned)
    if match is None:
        raise InvalidSizeError(f"{text!r} is not a size", where=where)
    from decimal import Decimal  # noqa: PLC0415 (a listing of sizes need not wait for it)

    exact = Decimal(match["number"]) * _FACTORS[(match["unit"] or "").lower()]
    size = int(exact)
    if size != exact:
        raise InvalidSizeError(f"{text!r} is not a whole number of bytes", where=where)
    if size == 0:
        raise InvalidSizeError("a size must be larger than zero", where=where)
    if size > MAX_SIZE_BYTES:
        raise InvalidSizeError(f"{text!r} is larger than any disk", where=where)
    return size


def parse_mib(text: str, *, where: str = "memory") -> int:
    """Read an amount of memory as whole MiB; a bare number means MiB.

    Raises:
        InvalidSizeError: not a size, or not a whole number of MiB.

    >>> parse_mib("2G"), parse_mib("512")
    (2048, 512)
    """
    cleaned = text.strip()
    if cleaned.isascii() and cleaned.isdigit():
        cleaned += "MiB"
    size = parse_size(cleaned, where=where)
    if size % MIB:
        raise InvalidSizeError(f"{text!r} is not a whole number of MiB", where=where)
    return size // MIB


def format_size(size_bytes: int) -> str:
    """Write bytes for a person: three significant digits, binary units.

    >>> format_size(1536), format_size(4 * GIB), format_size(0)
    ('1.5 KiB', '4 GiB', '0 B')
    """
    if abs(size_bytes) < KIB:
        return f"{size_bytes} B"
    value = float(size_bytes)
    unit = "B"
    for name in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        value /= KIB
        unit = name
        if abs(value) < 1023.5:
            break
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text} {unit}"

"""One DNS question, to see whether a name server answers; pure (RFC 1035, section 4)."""

import struct

__all__ = ["DNS_PORT", "dns_question", "is_answer"]

DNS_PORT = 53
_HEADER = struct.Struct("!HHHHHH")
_RECURSION_DESIRED, _RESPONSE = 0x0100, 0x8000
_TYPE_A, _CLASS_IN = 1, 1


def dns_question(name: str, number: int) -> bytes:
    """Write a question for the IPv4 address of a name; ``number`` comes back in the answer."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    head = _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return head + labels + b"\0" + struct.pack("!HH", _TYPE_A, _CLASS_IN)


def is_answer(message: bytes, number: int) -> bool:
    """Whether it is a response to that question, whatever it says."""
    if len(message) < _HEADER.size:
        return False
    seen, flags, *_ = _HEADER.unpack_from(message)
    return bool(seen == number and flags & _RESPONSE)

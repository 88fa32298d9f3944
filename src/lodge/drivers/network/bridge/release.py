"""DHCPRELEASE messages: take an address back from a client that is gone; pure.

dnsmasq refuses to give a reserved address while its lease file still has it for another MAC, which
is so for up to the lease time after an instance was deleted. Sent in the client's name, the message
ends that at once, without a restart of dnsmasq.

Source: RFC 2131 (section 4.4.4 and table 5), RFC 2132 (options 53, 54, 61).
"""

import struct
from ipaddress import IPv4Address
from typing import Final

from lodge.drivers.network.bridge.parse import GivenLease

__all__ = ["DHCP_SERVER_PORT", "release_message"]

DHCP_SERVER_PORT: Final = 67

_BOOT_REQUEST, _ETHERNET, _MAC_BYTES = 1, 1, 6
_MAGIC = bytes((99, 130, 83, 99))
_MESSAGE_TYPE, _SERVER_ID, _CLIENT_ID, _END = 53, 54, 61, 255
_RELEASE = 7


def release_message(lease: GivenLease, server: IPv4Address) -> bytes:
    """Write the UDP payload that releases one lease."""
    mac = bytes.fromhex(lease.mac.replace(":", ""))
    head = struct.pack(
        "!BBBBIHH4s12x16s192x",
        _BOOT_REQUEST,
        _ETHERNET,
        _MAC_BYTES,
        0,
        int.from_bytes(mac[-4:], "big"),
        0,
        0,
        IPv4Address(lease.address).packed,
        mac,
    )
    options = bytes((_MESSAGE_TYPE, 1, _RELEASE, _SERVER_ID, 4)) + server.packed
    if lease.client_id:
        options += bytes((_CLIENT_ID, len(lease.client_id))) + lease.client_id
    return head + _MAGIC + options + bytes((_END,))

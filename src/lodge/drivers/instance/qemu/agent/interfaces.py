"""The guest's addresses, as its agent tells them; pure."""

import ipaddress
from collections.abc import Iterator
from typing import Any

__all__ = ["addresses"]


def addresses(answer: Any) -> tuple[str, ...]:
    """List the addresses in an answer to ``guest-network-get-interfaces``, IPv4 first.

    Loopback, link-local and malformed addresses are left out.

    >>> addresses([{"name": "eth0", "ip-addresses": [{"ip-address": "10.0.0.5"}]}])
    ('10.0.0.5',)
    """
    found = [address for text in _texts(answer) if (address := _usable(text)) is not None]
    return tuple(str(address) for address in sorted(found, key=lambda each: each.version))


def _texts(answer: Any) -> Iterator[str]:
    for interface in answer if isinstance(answer, list) else []:
        listed = interface.get("ip-addresses") if isinstance(interface, dict) else None
        for entry in listed if isinstance(listed, list) else []:
            if isinstance(entry, dict):
                yield str(entry.get("ip-address", ""))


def _usable(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if address.is_loopback or address.is_link_local else address

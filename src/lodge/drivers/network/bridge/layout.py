"""Names and addresses of everything that belongs to one network; pure.

All of it follows from the network's record (and the cable's IPv4 index), so that leftovers of a
half-made network can be found and removed by name.
"""

import hashlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface
from typing import Final

from lodge.drivers.network.errors import NetworkFailedError
from lodge.model.network import Network, NetworkKind

__all__ = ["BRIDGE", "UPLINK", "Cable", "Names", "Subnets", "cable_at", "free_cable", "ipv6_cable"]

BRIDGE: Final = "br0"
UPLINK: Final = "up0"
"""Names inside the router namespace; they cannot clash with anything there."""

_LONGEST_ID = 9  # "lodge-" and the id make an interface name of at most 15 characters


@dataclass(frozen=True, slots=True)
class Names:
    """How a network's things are called in the host's namespace."""

    namespace: str
    link: str
    table: str

    @classmethod
    def of(cls, network_id: str) -> "Names":
        """Derive the names from the network's id."""
        short = network_id
        if len(short) > _LONGEST_ID or not short.isalnum():
            short = hashlib.sha256(network_id.encode()).hexdigest()[:_LONGEST_ID]
        return cls(f"lodge-{short}", f"lodge-{short}", f"lodge_{short}")


@dataclass(frozen=True, slots=True)
class Subnets:
    """The network's own addresses: the gateway's, each with its prefix."""

    ipv4: IPv4Interface | None
    ipv6: IPv6Interface | None
    bridge_mac: str
    is_isolated: bool

    @classmethod
    def of(cls, network: Network) -> "Subnets":
        """Read them from the record."""
        digest = hashlib.sha256(f"bridge {network.id}".encode()).digest()
        return cls(
            ipv4=None if network.ipv4 is None else IPv4Interface(network.ipv4),
            ipv6=None if network.ipv6 is None else IPv6Interface(network.ipv6),
            # 02: a locally administered unicast address (IEEE 802, bit 1 of the first octet)
            bridge_mac=":".join(f"{octet:02x}" for octet in (2, *digest[:5])),
            is_isolated=network.kind is NetworkKind.ISOLATED,
        )


@dataclass(frozen=True, slots=True)
class Cable:
    """The addresses of the cable between the host and the router, the host's end first."""

    host: IPv4Interface | IPv6Interface
    router: IPv4Interface | IPv6Interface


def free_cable(link_range: str, taken: Iterable[str]) -> Cable:
    """Choose the lowest pair of a range (RFC 3021: /31) that overlaps with nothing taken.

    Prefixes that contain the whole range are ignored: hosts may have a route for all of
    169.254.0.0/16, and our pair is more specific than it.

    Raises:
        NetworkFailedError: the range is used up.
    """
    whole = IPv4Network(link_range)
    used = [
        network
        for network in (ipaddress.ip_interface(text).network for text in taken)
        if isinstance(network, IPv4Network) and not whole.subnet_of(network)
    ]
    for pair in whole.subnets(new_prefix=31):
        if not any(pair.overlaps(network) for network in used):
            return cable_at(pair)
    raise NetworkFailedError(f"no free pair of addresses is left in {link_range}")


def cable_at(pair: IPv4Network) -> Cable:
    """Return the cable whose host end is the lower address of a /31."""
    host, router = pair.network_address, pair.network_address + 1
    return Cable(IPv4Interface(f"{host}/31"), IPv4Interface(f"{router}/31"))


def ipv6_cable(network_id: str) -> Cable:
    """Return the IPv6 pair: a random-like unique local prefix (RFC 4193) made from the id."""
    digest = hashlib.sha256(f"cable {network_id}".encode()).digest()
    base = ipaddress.IPv6Address(b"\xfd" + digest[:5] + bytes(10))
    return Cable(IPv6Interface(f"{base + 1}/126"), IPv6Interface(f"{base + 2}/126"))

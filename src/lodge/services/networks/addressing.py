"""Which addresses a network and its nics get; pure."""

import ipaddress
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

from lodge.services.networks.errors import (
    InvalidDomainError,
    InvalidMacError,
    InvalidPrefixError,
    NoFreeSubnetError,
)

__all__ = [
    "NO_ADDRESS",
    "check_domain",
    "check_mac",
    "choose_ipv4",
    "ipv6_of",
    "parse_ipv4_gateway",
    "parse_ipv6_gateway",
    "unique_local_gateway",
]

NO_ADDRESS = "none"
"""What a person writes for a network without this address family."""

IPV6_PREFIX = 64
_SMALLEST, _LARGEST = 30, 8
_CHOSEN_PREFIX = 18
# Room for 16 382 instances. 10.217 and up are rarely used by sites, which begin low; the rest of
# the private ranges (RFC 1918) follows for hosts that route all of those.
_CANDIDATES = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        *(f"10.{second}.0.0/16" for second in range(217, 255)),
        *(f"10.{second}.0.0/16" for second in range(64, 217)),
        *(f"172.{second}.0.0/16" for second in range(20, 32)),
        *("192.168.128.0/18", "192.168.192.0/18"),
    )
)

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_DOMAIN = 189  # an instance's label (63) and a dot still fit into 253 (RFC 1035, 2.3.4)
_FOREIGN_DOMAINS = frozenset({"local", "localhost", "arpa", "invalid", "onion"})
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


def parse_ipv4_gateway(text: str, *, where: str = "ipv4") -> IPv4Interface:
    """Read a gateway's IPv4 address with prefix length.

    Raises:
        InvalidPrefixError: malformed, too small or too large, the network's or the broadcast
            address, or a range that hosts cannot have.

    >>> parse_ipv4_gateway("10.20.0.1/24").network
    IPv4Network('10.20.0.0/24')
    """
    gateway = _interface(text, where)
    if not isinstance(gateway, IPv4Interface):
        raise InvalidPrefixError(f"{text!r} is not an IPv4 address", where=where)
    length = gateway.network.prefixlen
    if not _LARGEST <= length <= _SMALLEST:
        small = "small" if length > _SMALLEST else "large"
        raise InvalidPrefixError(
            f"{text!r} is too {small}: the prefix length must be {_LARGEST} to {_SMALLEST}",
            where=where,
        )
    if gateway.ip in (gateway.network.network_address, gateway.network.broadcast_address):
        first = gateway.network.network_address + 1
        raise InvalidPrefixError(
            f"{text!r} is the address of the network itself or its broadcast address",
            where=where,
            hint=f"write the gateway's address, such as {first}/{length}",
        )
    _refuse_special(gateway, text, where)
    return gateway


def parse_ipv6_gateway(text: str, *, where: str = "ipv6") -> IPv6Interface:
    """Read a gateway's IPv6 address; guests make theirs of their MAC, which needs a /64.

    Raises:
        InvalidPrefixError: malformed, another length than 64, or a range hosts cannot have.

    >>> str(parse_ipv6_gateway("fd00:20::1/64"))
    'fd00:20::1/64'
    """
    gateway = _interface(text, where)
    if not isinstance(gateway, IPv6Interface):
        raise InvalidPrefixError(f"{text!r} is not an IPv6 address", where=where, hint=_IPV6_HINT)
    if gateway.network.prefixlen != IPV6_PREFIX:
        raise InvalidPrefixError(
            f"{text!r} must have the prefix length {IPV6_PREFIX}", where=where, hint=_IPV6_HINT
        )
    if gateway.ip == gateway.network.network_address:
        raise InvalidPrefixError(
            f"{text!r} is the address of the network itself", where=where, hint=_IPV6_HINT
        )
    _refuse_special(gateway, text, where)
    return gateway


_IPV6_HINT = "write the gateway's address with prefix length, such as fd00:20::1/64"


def _interface(text: str, where: str) -> IPv4Interface | IPv6Interface:
    if "/" not in text:
        raise InvalidPrefixError(f"{text!r} has no prefix length", where=where)
    try:
        return ipaddress.ip_interface(text)
    except ValueError as error:
        raise InvalidPrefixError(f"{text!r} is no address: {error}", where=where) from error


def _refuse_special(gateway: IPv4Interface | IPv6Interface, text: str, where: str) -> None:
    ip = gateway.ip
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip.scope_id):
        raise InvalidPrefixError(f"{text!r} cannot be a gateway's address", where=where)
    special = {
        "loopback": ip.is_loopback,
        "multicast": ip.is_multicast,
        "link-local": ip.is_link_local,
        "unspecified": ip.is_unspecified or gateway.network.network_address.is_unspecified,
        "reserved": ip.is_reserved,
    }
    for kind, applies in special.items():
        if applies:
            raise InvalidPrefixError(f"{text!r} is in a {kind} range", where=where)


def choose_ipv4(used: Iterable[str]) -> IPv4Interface:
    """Choose the first subnet of a fixed list that overlaps with nothing used.

    Raises:
        NoFreeSubnetError: everything private is used.

    >>> str(choose_ipv4(["10.217.0.0/18"]))
    '10.217.64.1/18'
    """
    taken = [n for n in map(ipaddress.ip_network, used) if isinstance(n, IPv4Network)]
    for candidate in _subnets():
        if not any(candidate.overlaps(network) for network in taken):
            return IPv4Interface(f"{candidate.network_address + 1}/{candidate.prefixlen}")
    raise NoFreeSubnetError(
        "no private IPv4 subnet is free: the host has or routes all of them", where="ipv4"
    )


def _subnets() -> Iterator[IPv4Network]:
    for candidate in _CANDIDATES:
        if candidate.prefixlen >= _CHOSEN_PREFIX:
            yield candidate
        else:
            yield from candidate.subnets(new_prefix=_CHOSEN_PREFIX)


def unique_local_gateway(chance: bytes) -> IPv6Interface:
    """Make a unique local prefix from five random bytes (RFC 4193, section 3.2.2).

    >>> str(unique_local_gateway(bytes((1, 2, 3, 4, 5))))
    'fd01:203:405::1/64'
    """
    address = ipaddress.IPv6Address(b"\xfd" + chance[:5] + bytes(9) + b"\x01")
    return IPv6Interface(f"{address}/{IPV6_PREFIX}")


def ipv6_of(mac: str, network: IPv6Network) -> str:
    """Return the address a card makes of its MAC: modified EUI-64 (RFC 4291, appendix A).

    >>> ipv6_of("52:54:00:50:00:05", IPv6Network("fd00:20::/64"))
    'fd00:20::5054:ff:fe50:5'
    """
    octets = bytes.fromhex(mac.replace(":", ""))
    half = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return str(network[int.from_bytes(half, "big")])


def check_domain(text: str, *, where: str = "domain") -> str:
    """Accept a domain for the names of instances, or refuse it.

    Raises:
        InvalidDomainError: malformed, too long, numeric, or with a meaning of its own (mDNS).
    """
    labels = text.split(".")
    last = labels[-1]
    if (
        len(text) > _LONGEST_DOMAIN
        or not all(_LABEL.fullmatch(label) for label in labels)
        or last.isdigit()
    ):
        raise InvalidDomainError(f"{text!r} is not a valid domain", where=where)
    if last in _FOREIGN_DOMAINS:
        raise InvalidDomainError(
            f"{text!r} ends in {last!r}, which has a meaning of its own (RFC 6761)", where=where
        )
    return text


def check_mac(text: str, *, where: str = "mac") -> str:
    """Accept the MAC of one card, in lower case, or refuse it.

    Raises:
        InvalidMacError: malformed, a group's address, or all zero.
    """
    mac = text.lower()
    is_group = bool(_MAC.fullmatch(mac)) and int(mac[:2], 16) & 1
    if not _MAC.fullmatch(mac) or is_group or mac == "00:00:00:00:00:00":
        raise InvalidMacError(f"{text!r} cannot be the address of one card", where=where)
    return mac

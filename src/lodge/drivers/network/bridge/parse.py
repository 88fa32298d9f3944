"""What other programs' files and answers say; pure."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "GivenLease",
    "foreign_drops",
    "nameservers",
    "parse_given_leases",
    "reachable_from_elsewhere",
]


def nameservers(text: str) -> list[str]:
    r"""List the name servers of a resolv.conf(5), scope of link-local ones included.

    >>> nameservers("search lan\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\n")
    ['127.0.0.53', 'fe80::1%eth0']
    """
    words = (line.split("#")[0].split() for line in text.splitlines())
    return [parts[1] for parts in words if len(parts) >= 2 and parts[0] == "nameserver"]


def reachable_from_elsewhere(servers: Sequence[str]) -> bool:
    """Whether all of them can be asked from another network namespace.

    Loopback is another one there, and a link-local address needs a link that is not there.

    >>> reachable_from_elsewhere(["10.0.0.53"]), reachable_from_elsewhere(["127.0.0.53"])
    (True, False)
    """
    if not servers:
        return False
    for text in servers:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        if address.is_loopback or address.is_link_local or address.is_unspecified:
            return False
    return True


@dataclass(frozen=True, slots=True)
class GivenLease:
    """An IPv4 address that dnsmasq has given to a client; ``client_id`` null: it sent none."""

    mac: str
    address: str
    client_id: bytes | None


def parse_given_leases(text: str) -> list[GivenLease]:
    r"""Read the IPv4 part of dnsmasq's lease file; lines that are something else are left out.

    A line is: expiry, MAC, address, name, client id (``*``: none). IPv6 leases follow the line
    that begins with ``duid``.

    >>> parse_given_leases("9 52:54:00:00:00:01 10.0.0.2 web *\nduid 00:01\n")
    [GivenLease(mac='52:54:00:00:00:01', address='10.0.0.2', client_id=None)]
    """
    found = []
    for line in text.splitlines():
        parts = line.split()
        if len(parts) != 5:
            if parts[:1] == ["duid"]:
                break
            continue
        client_id = None if parts[4] == "*" else bytes.fromhex(parts[4].replace(":", ""))
        found.append(GivenLease(parts[1].lower(), parts[2], client_id))
    return found


def foreign_drops(chains: Iterable[Mapping[str, object]]) -> list[str]:
    """Name the base chains of other programs that drop forwarded packets by policy.

    ``chains`` are those of libnftables-json(5). Such a chain (Docker's, ufw's) has the last word
    over every accept of ours, because any drop is final.
    """
    return [
        f"{chain.get('family')} {chain.get('table')} {chain.get('name')}"
        for chain in chains
        if chain.get("hook") == "forward"
        and chain.get("policy") == "drop"
        and chain.get("family") in ("ip", "ip6", "inet")
    ]

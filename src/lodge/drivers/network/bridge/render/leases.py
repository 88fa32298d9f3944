"""Files that tell dnsmasq who has which address and name; pure.

Source: dnsmasq(8) 2.90, ``--dhcp-host`` and ``--addn-hosts``.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from lodge.drivers.network.bridge.layout import Subnets
from lodge.model.network import Lease, Network

__all__ = ["GATEWAY_NAME", "render_hosts", "render_names"]

GATEWAY_NAME = "gateway"
"""Name under which guests find their router; reserved, so no instance has it."""


def render_hosts(leases: Sequence[Lease]) -> str:
    """Write one line per nic: MAC, addresses, name."""
    lines = []
    for lease in _sorted(leases):
        addresses = [lease.ipv4] if lease.ipv4 else []
        if lease.ipv6:
            addresses.append(f"[{lease.ipv6}]")
        lines.append(",".join([lease.mac, *addresses, lease.instance]))
    return "".join(f"{line}\n" for line in lines)


def render_names(network: Network, subnets: Subnets, leases: Sequence[Lease]) -> str:
    """Write one line per address: the full name (also for reverse lookups) and the short one."""
    pairs = [(str(gateway.ip), GATEWAY_NAME) for gateway in (subnets.ipv4, subnets.ipv6) if gateway]
    for lease in _sorted(leases):
        pairs += [(text, lease.instance) for text in (lease.ipv4, lease.ipv6) if text]
    return "".join(f"{address} {name}.{network.domain} {name}\n" for address, name in pairs)


def _sorted(leases: Iterable[Lease]) -> list[Lease]:
    """By address, so that the same leases always give the same file."""

    def key(lease: Lease) -> tuple[int, str, str]:
        return (int(ip_address(lease.ipv4 or lease.ipv6 or "0.0.0.0")), lease.mac, lease.nic)  # noqa: S104

    return sorted(leases, key=key)

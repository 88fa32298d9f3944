"""Configuration of a network's dnsmasq: DHCP, router advertisements and DNS; pure.

Source: dnsmasq(8) 2.90.
"""

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path

from lodge.drivers.network.bridge.layout import BRIDGE, Subnets
from lodge.model.network import Network

__all__ = [
    "FORWARDER_NAME",
    "FORWARDER_PORT",
    "Helper",
    "Upstream",
    "render_dnsmasq",
    "render_forwarder",
]

FORWARDER_NAME = "forwarder.lodge.internal"
"""A name the forwarder answers by itself (that there is none), to see whether it is alive."""

FORWARDER_PORT = 10053
"""Port of the forwarder on the host's end of the cable; 53 may be taken by a wildcard listener."""

_LEASE_TIME = "1h"
_CACHE_NAMES = 1000
_ADVERT_INTERVAL_S = 120
_ROUTER_LIFETIME_S = 1800
_LEASES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where names of the outside world are asked for.

    ``resolv_file`` is followed as it changes; with ``forwarder`` the queries go to a helper on the
    host's end of the cable that reads the file there. Neither: names outside do not resolve.
    """

    resolv_file: Path | None = None
    forwarder: str | None = None


@dataclass(frozen=True, slots=True)
class Helper:
    """Whose rights dnsmasq has after its start, and where its files are."""

    user: str
    group: str
    folder: Path
    pid_file: Path


def render_dnsmasq(
    network: Network, subnets: Subnets, upstream: Upstream, helper: Helper, *, has_ipv6_exit: bool
) -> str:
    """Write the whole configuration file of a network's router.

    Every client is known (its nic has a reserved address), so strangers get no lease and nobody
    can register the name of somebody else. ``--no-ping`` because a reserved address needs no
    check, which would delay every lease by three seconds.
    """
    lines = [
        *_process_lines(helper),
        f"interface={BRIDGE}",
        "except-interface=lo",
        "bind-interfaces",
        "no-hosts",
        "domain-needed",
        f"cache-size={_CACHE_NAMES}",
        f"domain={network.domain}",
        f"local=/{network.domain}/",
        f"addn-hosts={helper.folder / 'names'}",
        *_upstream_lines(upstream),
        f"dhcp-hostsfile={helper.folder / 'hosts'}",
        f"dhcp-leasefile={helper.folder / 'leases'}",
        f"dhcp-lease-max={_LEASES_MAX}",
        "dhcp-authoritative",
        "dhcp-ignore-names",
        "no-ping",
        "quiet-dhcp",
        "quiet-dhcp6",
        "quiet-ra",
    ]
    if subnets.ipv4 is not None:
        lines += _ipv4_lines(network, subnets.ipv4, has_exit=not subnets.is_isolated)
    if subnets.ipv6 is not None:
        lines += _ipv6_lines(network, subnets.ipv6, has_exit=has_ipv6_exit)
    return "\n".join(lines) + "\n"


def render_forwarder(address: str, interface: str, helper: Helper, resolv_file: Path) -> str:
    """Write the configuration of the helper that asks the host's own loopback name server.

    ``127.0.0.53`` of the host cannot be reached from the router's namespace; this helper runs in
    the host's namespace, listens on the cable only, and asks it.
    """
    lines = [
        *_process_lines(helper),
        f"interface={interface}",
        f"listen-address={address}",
        "except-interface=lo",
        "bind-interfaces",
        f"port={FORWARDER_PORT}",
        "no-hosts",
        "cache-size=0",
        f"local=/{FORWARDER_NAME}/",
        f"resolv-file={resolv_file}",
    ]
    return "\n".join(lines) + "\n"


def _process_lines(helper: Helper) -> list[str]:
    return [
        "keep-in-foreground",
        "log-facility=-",
        f"pid-file={helper.pid_file}",
        f"user={helper.user}",
        f"group={helper.group}",
    ]


def _upstream_lines(upstream: Upstream) -> list[str]:
    if upstream.resolv_file is not None:
        return [f"resolv-file={upstream.resolv_file}"]
    if upstream.forwarder is not None:
        return ["no-resolv", f"server={upstream.forwarder}#{FORWARDER_PORT}"]
    return ["no-resolv"]


def _ipv4_lines(network: Network, gateway: IPv4Interface, *, has_exit: bool) -> list[str]:
    subnet = gateway.network
    lines = [
        f"domain={network.domain},{subnet},local",
        f"dhcp-range={subnet.network_address},static,{subnet.netmask},{_LEASE_TIME}",
        # Forced: some clients (busybox udhcpc) use the MTU but do not ask for it.
        f"dhcp-option-force=26,{network.mtu}",
        f"dhcp-option=option:domain-search,{network.domain}",
    ]
    return lines if has_exit else [*lines, "dhcp-option=option:router"]


def _ipv6_lines(network: Network, gateway: IPv6Interface, *, has_exit: bool) -> list[str]:
    """Announce the prefix for SLAAC and for DHCPv6 alike: both give the address made of the MAC.

    A router lifetime of 0 (RFC 4861, 4.2) says: no way out here.
    """
    subnet = gateway.network
    lifetime = _ROUTER_LIFETIME_S if has_exit else 0
    return [
        f"domain={network.domain},{subnet},local",
        f"dhcp-range={subnet.network_address},static,slaac,{subnet.prefixlen},{_LEASE_TIME}",
        f"dhcp-option=option6:domain-search,{network.domain}",
        "enable-ra",
        f"ra-param={BRIDGE},mtu:{network.mtu},{_ADVERT_INTERVAL_S},{lifetime}",
    ]

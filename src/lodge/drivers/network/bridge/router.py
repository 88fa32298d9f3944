"""The router namespace of a network: bridge, cable to the host, kernel settings, routes.

Every function blocks for some milliseconds and is meant for a worker thread. Each compares before
it changes, so that a second run over a network that is up changes nothing.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from lodge.drivers.network.bridge.layout import (
    BRIDGE,
    UPLINK,
    Cable,
    Names,
    Subnets,
    cable_at,
    free_cable,
    ipv6_cable,
)
from lodge.drivers.network.bridge.render.rules import Cables
from lodge.drivers.network.errors import NetworkFailedError
from lodge.model.network import Network
from lodge.system.namespace import (
    call_in,
    create_namespace,
    delete_namespace,
    is_namespace,
    namespace_path,
)
from lodge.system.netlink import SCOPE_GLOBAL, SCOPE_LINK, Link, Netlink, Route
from lodge.system.sysctl import has_sysctl, write_sysctl

__all__ = ["Router", "dismantle", "missing_parts"]

_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}

_ROUTER_SETTINGS = (
    # Without these, an inet forward chain with policy drop kills frames between two guests.
    ("net/bridge/bridge-nf-call-iptables", "0"),
    ("net/bridge/bridge-nf-call-ip6tables", "0"),
    ("net/bridge/bridge-nf-call-arptables", "0"),
    ("net/ipv4/ip_forward", "1"),
    ("net/ipv4/conf/all/rp_filter", "1"),
    ("net/ipv4/conf/default/rp_filter", "1"),
    ("net/ipv6/conf/all/forwarding", "1"),
    ("net/ipv6/conf/all/accept_ra", "0"),
    ("net/ipv6/conf/default/accept_ra", "0"),
    # Taps and a bridge without IPv6 must not speak it; interfaces that do are told one by one.
    ("net/ipv6/conf/default/disable_ipv6", "1"),
)


@dataclass(frozen=True, slots=True)
class Router:
    """One network's router, as it is wanted."""

    network: Network
    names: Names
    subnets: Subnets
    link_range: str

    @property
    def namespace(self) -> Path:
        """Where its namespace is kept."""
        return namespace_path(self.names.namespace)

    def build(self) -> Cables:
        """Make or complete everything, host's end last, and return the cable's addresses."""
        create_namespace(self.names.namespace)
        call_in(self.namespace, self._build_bridge)
        self._plug_cable()
        cables = self._choose_cables()
        call_in(self.namespace, lambda: self._build_uplink(cables))
        self._build_host_end(cables)
        # Routes out of the router need the host's end to be up.
        call_in(self.namespace, lambda: self._route_out(cables))
        return cables

    def _build_bridge(self) -> None:
        for setting, value in _ROUTER_SETTINGS:
            if has_sysctl(setting):
                write_sysctl(setting, value)
        with Netlink() as netlink:
            loopback = netlink.link("lo")
            if loopback is not None and not loopback.is_up:
                netlink.set_link(loopback, state="up")
            bridge = netlink.link(BRIDGE)
            if bridge is None:
                netlink.add_bridge(BRIDGE, mac=self.subnets.bridge_mac)
            if self.subnets.ipv6 is not None:
                write_sysctl(f"net/ipv6/conf/{BRIDGE}/disable_ipv6", "0")
            wanted = [str(own) for own in (self.subnets.ipv4, self.subnets.ipv6) if own]
            _complete(netlink, BRIDGE, self.network.mtu, wanted, SCOPE_GLOBAL)

    def _plug_cable(self) -> None:
        with Netlink() as netlink:
            host_end = netlink.link(self.names.link)
            router_end = call_in(self.namespace, _has_uplink)
            if host_end is not None and router_end:
                return
            # A cable with one end only leads to a namespace that is gone: make it anew.
            netlink.delete_link(self.names.link)
            netlink.add_veth(self.names.link, peer=UPLINK, peer_namespace=self.namespace)

    def _choose_cables(self) -> Cables:
        """Keep the addresses the cable has, or choose a free pair."""
        ipv6 = ipv6_cable(self.network.id) if self.subnets.ipv6 else None
        if self.subnets.ipv4 is None:
            return Cables(None, ipv6)
        with Netlink() as netlink:
            link = _found(netlink, self.names.link)
            addresses = netlink.addresses()
            whole = ipaddress.IPv4Network(self.link_range)
            for address in addresses:
                own = ipaddress.ip_interface(address.address)
                if address.index == link.index and own.ip in whole:
                    return Cables(cable_at(ipaddress.IPv4Network(own.network)), ipv6)
            taken = [address.address for address in addresses]
            taken += [route.prefix for route in netlink.routes()]
        return Cables(free_cable(self.link_range, taken), ipv6)

    def _build_uplink(self, cables: Cables) -> None:
        with Netlink() as netlink:
            if cables.ipv6 is not None:
                write_sysctl(f"net/ipv6/conf/{UPLINK}/disable_ipv6", "0")
            wanted = [str(cable.router) for cable in (cables.ipv4, cables.ipv6) if cable]
            _complete(netlink, UPLINK, self.network.mtu, wanted, SCOPE_LINK)

    def _build_host_end(self, cables: Cables) -> None:
        link = self.names.link
        if cables.ipv6 is not None:
            write_sysctl(f"net/ipv6/conf/{link}/accept_ra", "0")
            write_sysctl(f"net/ipv6/conf/{link}/disable_ipv6", "0")
        with Netlink() as netlink:
            wanted = [str(cable.host) for cable in (cables.ipv4, cables.ipv6) if cable]
            _complete(netlink, link, self.network.mtu, wanted, SCOPE_LINK)
            for gateway, cable in _families(self.subnets, cables):
                _route(
                    netlink, link, str(gateway.network), str(cable.router.ip), str(cable.host.ip)
                )

    def _route_out(self, cables: Cables) -> None:
        """Send everything else to the host; an isolated network knows nothing else."""
        if self.subnets.is_isolated:
            return
        with Netlink() as netlink:
            for gateway, cable in _families(self.subnets, cables):
                # The router's own questions leave with the gateway's address: it is masqueraded.
                default = _DEFAULT[gateway.version]
                _route(netlink, UPLINK, default, str(cable.host.ip), str(gateway.ip))


def _families(
    subnets: Subnets, cables: Cables
) -> list[tuple[ipaddress.IPv4Interface | ipaddress.IPv6Interface, Cable]]:
    pairs = ((subnets.ipv4, cables.ipv4), (subnets.ipv6, cables.ipv6))
    return [(gateway, cable) for gateway, cable in pairs if gateway and cable]


def _has_uplink() -> bool:
    with Netlink() as netlink:
        return netlink.link(UPLINK) is not None


def _found(netlink: Netlink, name: str) -> Link:
    link = netlink.link(name)
    if link is None:
        raise NetworkFailedError(f"the interface {name} went away meanwhile", where=name)
    return link


def _complete(netlink: Netlink, name: str, mtu: int, wanted: list[str], scope: int) -> None:
    """Bring an interface up with this MTU and these addresses, changing only what differs."""
    link = _found(netlink, name)
    if link.mtu != mtu:
        netlink.set_link(link, mtu=mtu)
    present = {address.address for address in netlink.addresses() if address.index == link.index}
    if not link.is_up:
        netlink.set_link(link, state="up")
    for address in wanted:
        if address not in present:
            netlink.add_address(link, address, scope=scope)


def _route(netlink: Netlink, link_name: str, prefix: str, gateway: str, source: str) -> None:
    link = _found(netlink, link_name)
    route = Route(prefix, link.index, gateway, source)
    if route not in netlink.routes():
        netlink.put_route(route)


def missing_parts(router: Router) -> list[str]:
    """Name what of a network is not there or down; reads only."""
    if not is_namespace(router.names.namespace):
        return ["its router namespace is gone"]
    inside = call_in(router.namespace, lambda: _down([BRIDGE, UPLINK]))
    outside = _down([router.names.link])
    with Netlink() as netlink:
        routed = {route.prefix for route in netlink.routes()}
    own = [gateway.network for gateway in (router.subnets.ipv4, router.subnets.ipv6) if gateway]
    lost = [f"the host's route to {prefix} is gone" for prefix in own if str(prefix) not in routed]
    return [*inside, *outside, *lost]


def _down(names: list[str]) -> list[str]:
    with Netlink() as netlink:
        up = {link.name: link.is_up for link in netlink.links()}
    return [
        f"its interface {name} is {'down' if name in up else 'gone'}"
        for name in names
        if not up.get(name, False)
    ]


def dismantle(names: Names) -> None:
    """Remove cable, bridge, taps and namespace, whichever of them exist."""
    with Netlink() as netlink:
        netlink.delete_link(names.link)
    if is_namespace(names.namespace):
        # One by one: a guest's process that still holds its tap would keep the namespace alive.
        call_in(namespace_path(names.namespace), _delete_all_links)
    delete_namespace(names.namespace)


def _delete_all_links() -> None:
    with Netlink() as netlink:
        for link in netlink.links():
            if link.name != "lo":
                netlink.delete_link(link.name)

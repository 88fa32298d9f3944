"""Links, addresses and routes of a network namespace through rtnetlink(7).

Everything here blocks for milliseconds: call it in a worker thread, inside ``call_in`` for
another namespace. One ``Netlink`` is one socket; use it in a ``with`` block in one thread.
"""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from lodge.system.errors import KernelRefusedError

__all__ = ["SCOPE_GLOBAL", "SCOPE_LINK", "Address", "Link", "Netlink", "Route"]

SCOPE_GLOBAL: Final = 0
SCOPE_LINK: Final = 253
"""Scopes of addresses (linux/rtnetlink.h): a link address is never chosen for other links."""

_IFF_UP = 1
_IFA_F_NODAD = 2
_TABLE_LOCAL = 255
_PROTOCOL_STATIC = 4
_UNICAST = 1


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface; ``master`` is the index of the bridge it is a port of, or null."""

    index: int
    name: str
    mac: str
    mtu: int
    is_up: bool
    master: int | None


@dataclass(frozen=True, slots=True)
class Address:
    """An address with its prefix length, and the index of the interface that has it."""

    address: str
    index: int


@dataclass(frozen=True, slots=True)
class Route:
    """A unicast route. ``index`` is the interface it leaves by; null when it has several."""

    prefix: str
    index: int | None
    gateway: str | None
    source: str | None


class Netlink:
    """One rtnetlink socket in the calling thread's network namespace."""

    def __init__(self) -> None:
        self._socket: Any = IPRoute()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def links(self) -> list[Link]:
        """List all interfaces."""
        with _refusals_told("list the network interfaces"):
            return [_link(message) for message in self._socket.get_links()]

    def link(self, name: str) -> Link | None:
        """Return one interface by name, or null; costs the same among a thousand others."""
        with _refusals_told(f"find the interface {name}"):
            try:
                found = self._socket.link("get", ifname=name)
            except NetlinkError as error:
                if error.code == errno.ENODEV:
                    return None
                raise
        return next((_link(message) for message in found), None)

    def add_bridge(self, name: str, *, mac: str) -> None:
        """Make a bridge without spanning tree, which forwards at once (no forward delay).

        Its MAC is fixed, because it would otherwise change as ports come and go and stay wrong in
        the guests' neighbour tables.
        """
        with _refusals_told(f"make the bridge {name}"):
            self._socket.link(
                "add", ifname=name, kind="bridge", address=mac, br_stp_state=0, br_forward_delay=0
            )

    def add_veth(self, name: str, *, peer: str, peer_namespace: Path) -> None:
        """Make a cable between this namespace and another one."""
        handle = os.open(peer_namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            with _refusals_told(f"make the cable {name}"):
                self._socket.link(
                    "add", ifname=name, kind="veth", peer={"ifname": peer, "net_ns_fd": handle}
                )
        finally:
            os.close(handle)

    def set_link(self, link: Link, **wanted: Any) -> None:
        """Change attributes of an interface: ``state``, ``mtu``, ``master``, ``address``."""
        with _refusals_told(f"change the interface {link.name}"):
            self._socket.link("set", index=link.index, **wanted)

    def delete_link(self, name: str) -> None:
        """Remove an interface; nothing happens when it is not there."""
        link = self.link(name)
        if link is None:
            return
        with _refusals_told(f"remove the interface {name}"):
            self._socket.link("del", index=link.index)

    def addresses(self) -> list[Address]:
        """List all addresses of all interfaces."""
        with _refusals_told("list the addresses"):
            return [
                Address(
                    f"{m.get_attr('IFA_LOCAL') or m.get_attr('IFA_ADDRESS')}/{m['prefixlen']}",
                    int(m["index"]),
                )
                for m in self._socket.get_addr()
            ]

    def add_address(self, link: Link, address: str, *, scope: int = SCOPE_GLOBAL) -> None:
        """Give an interface an address with prefix length.

        IPv6 skips duplicate detection: the address is ours alone and is used at once.
        """
        interface = ipaddress.ip_interface(address)
        flags = {} if interface.version == 4 else {"flags": _IFA_F_NODAD}
        with _refusals_told(f"give {link.name} the address {address}"):
            self._socket.addr(
                "replace",
                index=link.index,
                family=_family(interface.version),
                address=str(interface.ip),
                prefixlen=interface.network.prefixlen,
                scope=scope,
                **flags,
            )

    def routes(self) -> list[Route]:
        """List the unicast routes of all tables but the kernel's own local one.

        A default route has the prefix ``0.0.0.0/0`` or ``::/0``.
        """
        with _refusals_told("list the routes"):
            return [
                _route(m)
                for m in self._socket.get_routes()
                if m["type"] == _UNICAST
                and m.get_attr("RTA_TABLE", m["table"]) != _TABLE_LOCAL
                and m["family"] in (socket.AF_INET, socket.AF_INET6)
            ]

    def put_route(self, route: Route) -> None:
        """Make a route, or replace the one to the same prefix."""
        prefix = ipaddress.ip_network(route.prefix)
        wanted = {"gateway": route.gateway, "oif": route.index, "prefsrc": route.source}
        with _refusals_told(f"route {route.prefix} through {route.gateway}"):
            self._socket.route(
                "replace",
                family=_family(prefix.version),
                dst=route.prefix,
                proto=_PROTOCOL_STATIC,
                **{name: value for name, value in wanted.items() if value is not None},
            )


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _link(message: Any) -> Link:
    return Link(
        index=int(message["index"]),
        name=str(message.get_attr("IFLA_IFNAME")),
        mac=str(message.get_attr("IFLA_ADDRESS") or ""),
        mtu=int(message.get_attr("IFLA_MTU") or 0),
        is_up=bool(message["flags"] & _IFF_UP),
        master=message.get_attr("IFLA_MASTER"),
    )


def _route(message: Any) -> Route:
    nowhere = "0.0.0.0" if message["family"] == socket.AF_INET else "::"  # noqa: S104 - a prefix
    return Route(
        prefix=f"{message.get_attr('RTA_DST') or nowhere}/{message['dst_len']}",
        index=message.get_attr("RTA_OIF"),
        gateway=message.get_attr("RTA_GATEWAY"),
        source=message.get_attr("RTA_PREFSRC"),
    )


@contextmanager
def _refusals_told(what: str) -> Iterator[None]:
    """Turn the kernel's refusal into ``KernelRefusedError`` naming what was tried."""
    try:
        yield
    except NetlinkError as error:
        raise KernelRefusedError(
            f"cannot {what}: {os.strerror(error.code)}", errno=error.code
        ) from error

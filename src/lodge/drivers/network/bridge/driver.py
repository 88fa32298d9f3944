"""Networks as Linux bridges, each in a router namespace of its own."""

import asyncio
import errno
import ipaddress
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from lodge.base.errors import UnavailableError
from lodge.base.world import World
from lodge.drivers.network.bridge.assembly import Assembly
from lodge.drivers.network.bridge.forwarding import HostSettings
from lodge.drivers.network.bridge.host import require_tools, used_prefixes
from lodge.drivers.network.bridge.layout import BRIDGE, Names, Subnets
from lodge.drivers.network.bridge.options import BridgeOptions
from lodge.drivers.network.bridge.router import dismantle
from lodge.drivers.network.errors import (
    AddressInUseError,
    Ipv6MissingError,
    NetworkFailedError,
    NetworkToolMissingError,
    PortBusyError,
)
from lodge.model.network import Lease, Network, NetworkStatus
from lodge.system.errors import (
    KernelRefusedError,
    ProgramFailedError,
    ProgramMissingError,
    ProgramTimeoutError,
)
from lodge.system.namespace import call_in, is_namespace, namespace_path
from lodge.system.netlink import Netlink
from lodge.system.sysctl import has_sysctl
from lodge.system.tap import open_tap
from lodge.system.threads import in_thread

__all__ = ["Bridge"]


class Bridge:
    """Keep networks on this host. One object per daemon; see the contract for every method."""

    name: ClassVar[str] = "bridge"

    def __init__(self, options: BridgeOptions, world: World) -> None:
        self._options = options
        self._world = world
        self._settings = HostSettings(options.state_dir / "host-settings.json")
        # One at a time: choosing a cable's addresses and changing the host's settings both read
        # first and write then.
        self._host_lock = asyncio.Lock()
        self._locks: dict[str, asyncio.Lock] = {}

    async def check(self, network: Network, /) -> None:
        """Refuse missing tools, IPv6 on a kernel without it, and prefixes the host has already."""
        require_tools()
        if network.ipv6 is not None and not has_sysctl("net/ipv6"):
            raise Ipv6MissingError("this host's kernel runs without IPv6", where="ipv6")
        link = Names.of(network.id).link
        used = await in_thread(used_prefixes, link)
        subnets = Subnets.of(network)
        for where, gateway in (("ipv4", subnets.ipv4), ("ipv6", subnets.ipv6)):
            for text in used if gateway else ():
                taken = ipaddress.ip_network(text)
                if gateway is not None and taken.version == gateway.version:
                    _refuse_overlap(gateway.network, taken, where)

    async def used_prefixes(self) -> Sequence[str]:
        """List what the host has or routes; default routes do not count."""
        return await in_thread(used_prefixes)

    async def ensure(self, network: Network, leases: Sequence[Lease], /) -> None:
        """Complete or adopt everything; what is right already is not touched."""
        require_tools()
        async with self._lock(network):
            with _failures_told(network):
                await self._assembly(network).ensure(leases, self._host_lock)

    async def set_leases(self, network: Network, leases: Sequence[Lease], /) -> None:
        """Write the files dnsmasq reads and tell it, after taking back what changed hands."""
        async with self._lock(network):
            with _failures_told(network):
                await self._assembly(network).set_leases(leases)

    async def remove(self, network: Network, /) -> None:
        """End processes, remove rules, links, namespace, files; bring host settings back."""
        names = Names.of(network.id)
        assembly = self._assembly(network)
        async with self._lock(network), self._host_lock:
            with _failures_told(network):
                await assembly.stop()
                await assembly.host_table.remove()
                await in_thread(dismantle, names)
                await in_thread(self._settings.release, network.id)
                for folder in (assembly.run_folder, assembly.folder):
                    await in_thread(shutil.rmtree, folder, ignore_errors=True)

    async def status(self, network: Network, /) -> NetworkStatus:
        """Look at links, rules, settings and dnsmasq, and ask it a question."""
        try:
            with _failures_told(network):
                return await self._assembly(network).look()
        except (NetworkFailedError, NetworkToolMissingError) as error:
            return NetworkStatus(is_up=False, dns_answers=False, reason=error.message)

    def open_port(self, network: Network, port: str, _mac: str, /, *, uid: int) -> int:
        """Make a tap in the router namespace, put it on the bridge, bring it up."""
        namespace = Names.of(network.id).namespace
        if not is_namespace(namespace):
            raise NetworkFailedError(
                f"network {network.name!r} is not up", where=f"networks/{network.name}"
            )

        def make() -> int:
            handle = open_tap(port, uid=uid)
            try:
                _plug(port, network.mtu)
            except BaseException:
                os.close(handle)
                raise
            return handle

        with _failures_told(network):
            try:
                return call_in(namespace_path(namespace), make)
            except KernelRefusedError as error:
                if error.details.get("errno") == errno.EBUSY:
                    raise PortBusyError(
                        f"port {port!r} of network {network.name!r} is in use", where=port
                    ) from error
                raise

    async def close_port(self, network: Network, port: str, /) -> None:
        """Remove the tap."""
        namespace = Names.of(network.id).namespace
        if is_namespace(namespace):
            with _failures_told(network):
                await in_thread(call_in, namespace_path(namespace), lambda: _unplug(port))

    async def close(self) -> None:
        """Nothing is held open between calls."""

    def _assembly(self, network: Network) -> Assembly:
        return Assembly(network, self._options, self._world, self._settings)

    def _lock(self, network: Network) -> asyncio.Lock:
        return self._locks.setdefault(network.id, asyncio.Lock())


def _refuse_overlap(
    wanted: ipaddress.IPv4Network | ipaddress.IPv6Network,
    taken: ipaddress.IPv4Network | ipaddress.IPv6Network,
    where: str,
) -> None:
    if wanted.overlaps(taken):
        raise AddressInUseError(
            f"{wanted} overlaps with {taken}, which this host has or routes already",
            where=where,
            wanted=str(wanted),
            taken=str(taken),
        )


def _plug(port: str, mtu: int) -> None:
    with Netlink() as netlink:
        bridge, tap = netlink.link(BRIDGE), netlink.link(port)
        if bridge is None or tap is None:
            raise NetworkFailedError("the network's bridge is gone", where=BRIDGE)
        netlink.set_link(tap, mtu=mtu, master=bridge.index, state="up")


def _unplug(port: str) -> None:
    with Netlink() as netlink:
        netlink.delete_link(port)


@contextmanager
def _failures_told(network: Network) -> Iterator[None]:
    """Name the network in every failure of the system below."""
    where = f"networks/{network.name}"
    try:
        yield
    except ProgramMissingError as error:
        raise NetworkToolMissingError(error.message, where=where) from error
    except (KernelRefusedError, ProgramFailedError, ProgramTimeoutError) as error:
        failure: UnavailableError = NetworkFailedError(
            f"network {network.name!r}: {error.message}", where=where, **error.details
        )
        raise failure from error

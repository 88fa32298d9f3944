"""A named fake: networks that exist only in memory or as small files, with the real contract.

What is "up" is written below ``run_dir`` when one is given, so that a daemon that was killed finds
its fake networks again, and a rebooted host (whose run folder is empty) does not.
"""

import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from lodge.drivers.network.errors import AddressInUseError, NetworkFailedError, PortBusyError
from lodge.drivers.network.fake.faults import Faults
from lodge.model.network import Lease, Network, NetworkStatus

__all__ = ["FakeNetworks"]

_UP = "fake-network"


class FakeNetworks:
    """Carry no packet, and keep every promise of ``NetworkDriver`` about it."""

    name: ClassVar[str] = "fake"

    def __init__(
        self,
        run_dir: Path | None = None,
        *,
        host_prefixes: Sequence[str] = (),
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self._run_dir = run_dir
        self._host_prefixes = tuple(host_prefixes)
        self._up: dict[str, Network] = {}
        self._leases: dict[str, tuple[Lease, ...]] = {}
        self._ports: dict[tuple[str, str], socket.socket] = {}
        self.ensured: list[str] = []
        if run_dir is not None:
            self._find_again(run_dir)

    def _find_again(self, run_dir: Path) -> None:
        for path in sorted(run_dir.glob(f"*/{_UP}")):
            network = msgspec.json.decode(path.read_bytes(), type=Network)
            self._up[network.id] = network

    async def check(self, network: Network, /) -> None:
        """Refuse prefixes that the pretended host or another fake network has."""
        await self.faults.meet("check")
        used = self._prefixes(without=network.id)
        for where, text in (("ipv4", network.ipv4), ("ipv6", network.ipv6)):
            for taken in used if text else ():
                _refuse_overlap(ipaddress.ip_interface(text or "").network, taken, where)

    async def used_prefixes(self) -> Sequence[str]:
        """List the pretended host's prefixes and those of the networks that are up."""
        await self.faults.meet("used_prefixes")
        return self._prefixes()

    def _prefixes(self, *, without: str = "") -> list[str]:
        up = [network for network in self._up.values() if network.id != without]
        return [*self._host_prefixes, *(prefix for network in up for prefix in _own(network))]

    async def ensure(self, network: Network, leases: Sequence[Lease], /) -> None:
        """Write down that it is up."""
        await self.faults.meet("ensure")
        self.ensured.append(network.name)
        self._up[network.id] = network
        self._leases[network.id] = tuple(leases)
        if self._run_dir is not None:
            path = self._note(self._run_dir, network)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(network))

    async def set_leases(self, network: Network, leases: Sequence[Lease], /) -> None:
        """Remember the leases of a network that is up."""
        await self.faults.meet("set_leases")
        if network.id in self._up:
            self._leases[network.id] = tuple(leases)

    async def remove(self, network: Network, /) -> None:
        """Forget it, its leases and its ports."""
        await self.faults.meet("remove")
        self._up.pop(network.id, None)
        self._leases.pop(network.id, None)
        for key in [key for key in self._ports if key[0] == network.id]:
            self._ports.pop(key).close()
        if self._run_dir is not None:
            self._note(self._run_dir, network).unlink(missing_ok=True)

    async def status(self, network: Network, /) -> NetworkStatus:
        """Tell whether it is up; the fault ``deaf`` makes its DNS silent."""
        is_heard = await self.faults.meet("status")
        is_up = network.id in self._up
        reason = "" if is_up and is_heard else "dnsmasq does not answer" if is_up else "it is down"
        return NetworkStatus(is_up=is_up, dns_answers=is_up and is_heard, reason=reason)

    def open_port(self, network: Network, port: str, _mac: str, /, *, uid: int) -> int:
        """Return one end of a socket pair; the port is busy while that end is open."""
        if network.id not in self._up:
            raise NetworkFailedError(
                f"network {network.name!r} is not up", where=f"networks/{network.name}", uid=uid
            )
        held = self._ports.get((network.id, port))
        if held is not None and not _is_hung_up(held):
            raise PortBusyError(f"port {port!r} of network {network.name!r} is in use", where=port)
        if held is not None:
            held.close()
        ours, theirs = socket.socketpair()
        self._ports[network.id, port] = ours
        return theirs.detach()

    async def close_port(self, network: Network, port: str, /) -> None:
        """Hang up; the other end reads end of file."""
        await self.faults.meet("close_port")
        held = self._ports.pop((network.id, port), None)
        if held is not None:
            held.close()

    async def close(self) -> None:
        """Close what the ports hold; the networks stay up."""
        for held in self._ports.values():
            held.close()
        self._ports.clear()

    def leases_of(self, network: Network) -> tuple[Lease, ...]:
        """Return the leases a fake dnsmasq would give out now; for tests and demos."""
        return self._leases.get(network.id, ())

    def break_down(self, network: Network) -> None:
        """Pretend that a person or a crash took the network down behind our back."""
        self._up.pop(network.id, None)

    @staticmethod
    def _note(run_dir: Path, network: Network) -> Path:
        return run_dir / network.id / _UP


def _own(network: Network) -> list[str]:
    return [str(ipaddress.ip_interface(t).network) for t in (network.ipv4, network.ipv6) if t]


def _refuse_overlap(
    wanted: ipaddress.IPv4Network | ipaddress.IPv6Network, text: str, where: str
) -> None:
    taken = ipaddress.ip_network(text)
    if taken.version == wanted.version and wanted.overlaps(taken):
        raise AddressInUseError(
            f"{wanted} overlaps with {taken}, which this host has or routes already",
            where=where,
            wanted=str(wanted),
            taken=str(taken),
        )


def _is_hung_up(ours: socket.socket) -> bool:
    """Whether the other end was closed: then reading gives end of file at once."""
    try:
        return ours.recv(1, _PEEK) == b""
    except BlockingIOError:
        return False


_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT

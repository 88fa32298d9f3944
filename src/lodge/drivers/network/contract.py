"""What a network driver must do."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from lodge.model.network import Lease, Network, NetworkStatus

__all__ = ["NetworkDriver"]


class NetworkDriver(Protocol):
    """Make networks real: bridge, router, DHCP, DNS, NAT. Every method is idempotent.

    Errors: ``NetworkToolMissingError``, ``Ipv6MissingError``, ``AddressInUseError``,
    ``PortBusyError``, ``NetworkFailedError``.
    """

    name: ClassVar[str]

    async def check(self, network: Network, /) -> None:
        """Refuse a network that cannot work beside what this host already has; reads only."""
        ...

    async def used_prefixes(self) -> Sequence[str]:
        """List the prefixes the host routes already, so that a free one can be chosen."""
        ...

    async def ensure(self, network: Network, leases: Sequence[Lease], /) -> None:
        """Bring it up, or adopt it as it runs; make its static leases be exactly these."""
        ...

    async def set_leases(self, network: Network, leases: Sequence[Lease], /) -> None:
        """Make the static leases and DNS names be exactly these; cheaper than ``ensure``.

        An address that changed hands is taken from its former owner at once.
        """
        ...

    async def remove(self, network: Network, /) -> None:
        """Take it down without a trace, however little of it there is."""
        ...

    async def status(self, network: Network, /) -> NetworkStatus:
        """Look at it now."""
        ...

    def open_port(self, network: Network, port: str, mac: str, /, *, uid: int) -> int:
        """Make a tap on the bridge and return an open descriptor of it (the caller closes it).

        The tap lives as long as a descriptor of it. Blocks for a few milliseconds; may be called
        from any thread. A port name has at most 15 characters.
        """
        ...

    async def close_port(self, network: Network, port: str, /) -> None:
        """Remove the tap; nothing happens when it is not there."""
        ...

    async def close(self) -> None:
        """Let go of sockets; the networks stay up."""
        ...

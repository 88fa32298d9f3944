"""What a network driver must do."""

from collections.abc import Sequence
from typing import ClassVar, Protocol

from lodge.model.network import Lease, Network, NetworkStatus

__all__ = ["NetworkDriver"]


class NetworkDriver(Protocol):
    """Make networks real: bridge, router, DHCP, DNS, NAT. Every method is idempotent.

    Errors: ``NetworkToolMissingError``, ``AddressInUseError``, ``NetworkFailedError``.
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

    async def remove(self, network: Network, /) -> None:
        """Take it down without a trace."""
        ...

    async def status(self, network: Network, /) -> NetworkStatus:
        """Look at it now."""
        ...

    def open_port(self, network: Network, port: str, mac: str, /, *, uid: int) -> int:
        """Make a tap on the bridge and return an open descriptor of it (the caller closes it)."""
        ...

    async def close_port(self, network: Network, port: str, /) -> None:
        """Remove the tap; nothing happens when it is not there."""
        ...

    async def close(self) -> None:
        """Let go of sockets; the networks stay up."""
        ...

"""Networks: managed segments with their own router, DHCP and DNS."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from lodge.model.record import Record, Spec

__all__ = ["Lease", "Network", "NetworkCreate", "NetworkKind", "NetworkState", "NetworkStatus"]


class NetworkKind(StrEnum):
    """How a network reaches the world."""

    NAT = "nat"
    ISOLATED = "isolated"


class NetworkState(StrEnum):
    """Where a network is in its life; nics get addresses from a ready one only."""

    CREATING = "creating"
    READY = "ready"
    DELETING = "deleting"


class NetworkCreate(Spec, frozen=True, kw_only=True):
    """A request for a network.

    ``ipv4`` and ``ipv6`` are the gateway's address with prefix length; left out, they are chosen
    free of conflicts with the host's; ``none``: the network does without.
    """

    name: str
    kind: NetworkKind = NetworkKind.NAT
    ipv4: str | None = None
    ipv6: str | None = None
    domain: str | None = None
    mtu: Annotated[int, Meta(ge=576, le=9216)] = 1500
    description: Annotated[str, Meta(max_length=1024)] = ""


class Network(Record, frozen=True, kw_only=True):
    """One segment. ``ipv4`` and ``ipv6`` are the gateway's address with prefix length, or null."""

    name: str
    id: str
    kind: NetworkKind
    ipv4: str | None
    ipv6: str | None
    domain: str
    mtu: int
    created_at: float
    description: str = ""
    state: NetworkState = NetworkState.READY


class Lease(Record, frozen=True, kw_only=True):
    """An address given to an instance's nic, reserved for as long as the nic exists."""

    network: str
    instance: str
    nic: str
    mac: str
    ipv4: str | None = None
    ipv6: str | None = None


class NetworkStatus(Record, frozen=True, kw_only=True):
    """What was seen of a network: whether its bridge and services run, and why not.

    ``warnings`` tell what works worse than it should though nothing of Lodge's own is broken,
    such as another program's firewall that drops forwarded packets.
    """

    is_up: bool
    dns_answers: bool
    reason: str = ""
    warnings: tuple[str, ...] = ()

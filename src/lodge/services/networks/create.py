"""``network.create``: from a request to a network that runs."""

import ipaddress
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar

import msgspec

from lodge.base.names import InvalidNameError, check_name
from lodge.base.world import World
from lodge.drivers.network.contract import NetworkDriver
from lodge.drivers.network.errors import Ipv6MissingError
from lodge.model.network import Network, NetworkCreate, NetworkState
from lodge.services.networks.addressing import (
    NO_ADDRESS,
    check_domain,
    choose_ipv4,
    parse_ipv4_gateway,
    parse_ipv6_gateway,
    unique_local_gateway,
)
from lodge.services.networks.errors import (
    InvalidNetworkSpecError,
    NetworkExistsError,
    PrefixOverlapError,
)
from lodge.services.networks.registry import NetworkRegistry
from lodge.services.networks.upkeep import Upkeep
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["DEFAULT_DOMAIN", "CreateNetwork"]

DEFAULT_DOMAIN = "lodge"
_RESERVED = frozenset({"none", "all"})
_IPV6_LEAST_MTU = 1280  # RFC 8200, section 5
_ID_BYTES = 4
_RECORD = "network"


class CreateNetwork:
    """Decide the addresses, write the record, bring it up, let it be used."""

    kind: ClassVar[str] = "network.create"
    params_type: ClassVar[type[NetworkCreate]] = NetworkCreate
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 1

    def __init__(
        self, registry: NetworkRegistry, driver: NetworkDriver, upkeep: Upkeep, world: World
    ) -> None:
        self._registry = registry
        self._driver = driver
        self._upkeep = upkeep
        self._world = world

    def target(self, params: NetworkCreate, /) -> str:
        """The network."""
        return f"networks/{params.name}"

    def locks(self, params: NetworkCreate, /) -> AbstractSet[str]:
        """The name, and the choice of addresses, which must see every other network's."""
        return {f"network:{params.name}", "networks:addresses"}

    async def check(self, params: NetworkCreate, /) -> None:
        """Refuse a taken name and addresses that clash or cannot be; reads only."""
        check_name(params.name, what="network")
        if params.name in _RESERVED:
            raise InvalidNameError(f"{params.name!r} is a reserved name", where="name")
        if self._registry.networks.get(params.name) is not None:
            raise NetworkExistsError(
                f"network {params.name!r} exists already", where=f"networks/{params.name}"
            )
        await self._decide(params)

    def plan(self, params: NetworkCreate, /) -> Sequence[StepDefinition]:
        """List the steps; each may run again."""

        async def decide(context: StepContext) -> None:
            if _RECORD not in context.notes:
                decided = await self._decide(params)
                await context.remember(**{_RECORD: msgspec.to_builtins(decided)})
            await self._registry.add(_noted(context))

        async def forget(context: StepContext) -> None:
            if _RECORD in context.notes:
                await self._registry.remove(params.name, _noted(context).id)

        async def bring_up(context: StepContext) -> None:
            await self._upkeep.bring_up(_noted(context))

        async def take_down(context: StepContext) -> None:
            if _RECORD in context.notes:
                await self._upkeep.take_down(_noted(context))

        async def open_for_use(context: StepContext) -> None:
            network = _noted(context)
            await self._registry.set_state(network.name, network.id, NetworkState.READY)
            context.result(name=network.name, ipv4=network.ipv4, ipv6=network.ipv6)

        return (
            StepDefinition("addresses", decide, forget),
            StepDefinition("bring up", bring_up, take_down),
            StepDefinition("open", open_for_use),
        )

    async def _decide(self, params: NetworkCreate) -> Network:
        """Fill in what was left out, and refuse what cannot be."""
        used = [*await self._driver.used_prefixes(), *self._own_prefixes()]
        network = Network(
            name=params.name,
            id=self._world.random_bytes(_ID_BYTES).hex(),
            kind=params.kind,
            ipv4=_ipv4(params, used),
            ipv6=self._ipv6(params),
            domain=check_domain(DEFAULT_DOMAIN if params.domain is None else params.domain),
            mtu=params.mtu,
            created_at=self._world.now(),
            description=params.description,
            state=NetworkState.CREATING,
        )
        if network.ipv4 is None and network.ipv6 is None:
            raise InvalidNetworkSpecError(
                f"network {params.name!r} would have no addresses at all",
                where="ipv4",
                hint=f"leave ipv4 or ipv6 out, or give one that is not {NO_ADDRESS!r}",
            )
        self._refuse_own_overlap(network)
        try:
            await self._driver.check(network)
        except Ipv6MissingError:
            if params.ipv6 is not None or network.ipv4 is None:
                raise
            network = msgspec.structs.replace(network, ipv6=None)
            await self._driver.check(network)
        return network

    def _ipv6(self, params: NetworkCreate) -> str | None:
        if params.ipv6 == NO_ADDRESS:
            return None
        if params.mtu < _IPV6_LEAST_MTU:
            if params.ipv6 is None:
                return None
            raise InvalidNetworkSpecError(
                f"an MTU of {params.mtu} is too small for IPv6, which needs {_IPV6_LEAST_MTU}",
                where="mtu",
            )
        if params.ipv6 is None:
            return str(unique_local_gateway(self._world.random_bytes(5)))
        return str(parse_ipv6_gateway(params.ipv6))

    def _own_prefixes(self) -> list[str]:
        """Prefixes of all networks, those that are down included."""
        return [
            str(ipaddress.ip_interface(text).network)
            for network in self._registry.all()
            for text in (network.ipv4, network.ipv6)
            if text is not None
        ]

    def _refuse_own_overlap(self, network: Network) -> None:
        for where, text in (("ipv4", network.ipv4), ("ipv6", network.ipv6)):
            for other in self._registry.all() if text else ():
                taken_text = other.ipv4 if where == "ipv4" else other.ipv6
                wanted = ipaddress.ip_interface(text or "").network
                taken = ipaddress.ip_interface(taken_text).network if taken_text else None
                if taken is not None and _overlap(wanted, taken):
                    raise PrefixOverlapError(
                        f"{wanted} overlaps with {taken} of network {other.name!r}", where=where
                    )


def _ipv4(params: NetworkCreate, used: Sequence[str]) -> str | None:
    if params.ipv4 == NO_ADDRESS:
        return None
    if params.ipv4 is None:
        return str(choose_ipv4(used))
    return str(parse_ipv4_gateway(params.ipv4))


def _overlap(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network,
    other: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    return one.version == other.version and one.overlaps(other)


def _noted(context: StepContext) -> Network:
    return msgspec.convert(context.notes[_RECORD], Network)

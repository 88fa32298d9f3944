"""Who has which address: reserved for a nic, guarded so that two never get the same one.

Beside each lease two claims are written in the same transaction, ``addresses/NETWORK/IPV4`` and
``macs/MAC``; a claim that exists already makes the transaction fail. The network's revision is
compared too, so that nothing is reserved in a network that begins to be deleted.
"""

import ipaddress
import logging

import msgspec

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.model.network import Lease, Network
from lodge.services.networks.addressing import check_mac, ipv6_of
from lodge.services.networks.errors import AddressTakenError, MacInUseError, NetworkFullError
from lodge.services.networks.registry import NetworkRegistry, lease_key
from lodge.services.networks.upkeep import Upkeep
from lodge.store.contract import Compare, Delete, Operation, Put

__all__ = ["Leases"]

_ATTEMPTS = 1000
_MAC_PREFIX = "52:54:00"  # locally administered; the prefix QEMU uses, known to other tools
_CLAIMED = b"1"
_log = logging.getLogger(__name__)


class Leases:
    """Reserve, release and rename; every method is idempotent."""

    def __init__(self, registry: NetworkRegistry, upkeep: Upkeep, world: World) -> None:
        self._registry = registry
        self._upkeep = upkeep
        self._world = world
        # Below these nothing is free, as far as this process knows; only a shortcut.
        self._floors: dict[str, int] = {}

    async def reserve(
        self, network: str, instance: str, nic: str, mac: str = "", *, ipv4: str | None = None
    ) -> Lease:
        """Reserve the lowest free address (or that one) for a nic; again: the same lease.

        An empty ``mac`` has one made. Returns when the network's DHCP and DNS know the lease.

        Raises:
            NetworkNotFoundError, NetworkNotReadyError: nothing can be reserved in it.
            NetworkFullError: no address is left.
            AddressTakenError, MacInUseError, InvalidMacError: what was asked for cannot be had.
        """
        wanted_mac = check_mac(mac) if mac else ""
        key = lease_key(network, instance, nic)
        for _ in range(_ATTEMPTS):
            record, revision = self._registry.ready(network)
            present = self._registry.leases.get(key)
            if present is not None:
                if present.mac == (wanted_mac or present.mac):
                    await self._upkeep.pass_leases_on(network)
                    return present
                await self._drop(present)
            lease = self._propose(
                record,
                Lease(
                    network=network, instance=instance, nic=nic, mac=wanted_mac or self._new_mac()
                ),
                ipv4,
            )
            if await self._claim(lease, revision):
                await self._upkeep.pass_leases_on(network)
                return lease
            if wanted_mac:
                self._refuse_used_mac(lease)
        raise NetworkFullError(f"no address of network {network!r} could be reserved")

    async def release(self, instance: str) -> None:
        """Free every address of an instance; nothing happens when it has none."""
        await self._release(self._registry.leases_of(instance))

    async def release_nic(self, instance: str, nic: str) -> None:
        """Free the addresses of one nic."""
        held = self._registry.leases_of(instance)
        await self._release([lease for lease in held if lease.nic == nic])

    async def rename(self, old: str, new: str) -> None:
        """Give an instance's leases (and so its DNS names) to its new name."""
        moved = self._registry.leases_of(old)
        for lease in moved:
            renamed = msgspec.structs.replace(lease, instance=new)
            leases = self._registry.leases
            await self._registry.store.txn(
                [],
                [leases.delete(_key(lease)), leases.put(_key(renamed), renamed)],
            )
        await self._tell({lease.network for lease in moved})

    async def _release(self, held: list[Lease]) -> None:
        for lease in held:
            await self._drop(lease)
        await self._tell({lease.network for lease in held})

    async def _drop(self, lease: Lease) -> None:
        operations: list[Operation] = [
            self._registry.leases.delete(_key(lease)),
            Delete(_mac_key(lease.mac)),
        ]
        if lease.ipv4 is not None:
            operations.append(Delete(_address_key(lease.network, lease.ipv4)))
            number = int(ipaddress.IPv4Address(lease.ipv4))
            self._floors[lease.network] = min(self._floors.get(lease.network, number), number)
        await self._registry.store.txn([], operations)

    async def _tell(self, networks: set[str]) -> None:
        """Pass changes on; a broken network is repaired with the newest leases later anyway."""
        for name in sorted(networks):
            try:
                await self._upkeep.pass_leases_on(name)
            except LodgeError as error:
                _log.warning("network %s does not know its leases yet: %s", name, error.message)

    def _propose(self, network: Network, lease: Lease, ipv4: str | None) -> Lease:
        """Fill in addresses that are free right now."""
        if network.ipv6 is not None:
            subnet = ipaddress.IPv6Interface(network.ipv6).network
            lease = msgspec.structs.replace(lease, ipv6=ipv6_of(lease.mac, subnet))
        if network.ipv4 is None:
            return lease
        gateway = ipaddress.IPv4Interface(network.ipv4)
        chosen = self._lowest(network.name, gateway) if ipv4 is None else ipv4
        if ipv4 is not None:
            self._check_wanted(network.name, gateway, ipv4)
        return msgspec.structs.replace(lease, ipv4=chosen)

    def _lowest(self, name: str, gateway: ipaddress.IPv4Interface) -> str:
        subnet = gateway.network
        first = int(subnet.network_address) + 1
        last = int(subnet.broadcast_address) - 1
        for number in range(max(first, self._floors.get(name, first)), last + 1):
            text = str(ipaddress.IPv4Address(number))
            if number != int(gateway.ip) and not self._is_claimed(name, text):
                self._floors[name] = number
                return text
        room = subnet.num_addresses - 3  # network, broadcast, gateway
        raise NetworkFullError(
            f"network {name!r} is full: all {room} addresses of {subnet} are reserved",
            where=f"networks/{name}",
            addresses=room,
        )

    def _check_wanted(self, name: str, gateway: ipaddress.IPv4Interface, ipv4: str) -> None:
        subnet = gateway.network
        try:
            address = ipaddress.IPv4Address(ipv4)
        except ValueError:
            address = subnet.network_address
        reserved = (subnet.network_address, subnet.broadcast_address, gateway.ip)
        if address not in subnet or address in reserved:
            raise AddressTakenError(
                f"{ipv4!r} is no address for an instance in {subnet}", where="ipv4"
            )
        if self._is_claimed(name, ipv4):
            raise AddressTakenError(
                f"{ipv4} of network {name!r} is reserved for somebody else", where="ipv4"
            )

    def _is_claimed(self, name: str, ipv4: str) -> bool:
        return self._registry.store.get(_address_key(name, ipv4)) is not None

    async def _claim(self, lease: Lease, network_revision: int) -> bool:
        leases = self._registry.leases
        compares = [
            self._registry.networks.compare(lease.network, network_revision),
            leases.compare(_key(lease), 0),
            Compare(_mac_key(lease.mac), 0),
        ]
        puts: list[Operation] = [
            leases.put(_key(lease), lease),
            Put(_mac_key(lease.mac), _CLAIMED),
        ]
        if lease.ipv4 is not None:
            compares.append(Compare(_address_key(lease.network, lease.ipv4), 0))
            puts.append(Put(_address_key(lease.network, lease.ipv4), _CLAIMED))
        answer = await self._registry.store.txn(compares, puts)
        return answer.succeeded

    def _refuse_used_mac(self, lease: Lease) -> None:
        own = self._registry.leases.get(_key(lease))
        if own is None and self._registry.store.get(_mac_key(lease.mac)) is not None:
            raise MacInUseError(f"the MAC address {lease.mac} is in use already", where="mac")

    def _new_mac(self) -> str:
        return ":".join([_MAC_PREFIX, *(f"{octet:02x}" for octet in self._world.random_bytes(3))])


def _key(lease: Lease) -> str:
    return lease_key(lease.network, lease.instance, lease.nic)


def _address_key(network: str, ipv4: str) -> str:
    return f"addresses/{network}/{ipv4}"


def _mac_key(mac: str) -> str:
    return f"macs/{mac}"

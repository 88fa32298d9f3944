"""Everything of one network put together: router, rules, settings, dnsmasq, forwarder."""

import asyncio
import os
import stat
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from lodge.base.errors import LodgeError
from lodge.base.world import World
from lodge.drivers.network.bridge.dnsmasq import Dnsmasq
from lodge.drivers.network.bridge.forwarding import (
    HostSettings,
    host_routes_ipv6_out,
    needed_settings,
)
from lodge.drivers.network.bridge.host import direct_resolv_file, has_nameserver, helper_user
from lodge.drivers.network.bridge.layout import Names, Subnets
from lodge.drivers.network.bridge.messages import answers_dns, send_releases
from lodge.drivers.network.bridge.options import BridgeOptions
from lodge.drivers.network.bridge.parse import foreign_drops, parse_given_leases
from lodge.drivers.network.bridge.render.dnsmasq import (
    FORWARDER_NAME,
    FORWARDER_PORT,
    Helper,
    Upstream,
    render_dnsmasq,
    render_forwarder,
)
from lodge.drivers.network.bridge.render.leases import GATEWAY_NAME, render_hosts, render_names
from lodge.drivers.network.bridge.render.rules import (
    ROUTER_TABLE,
    Cables,
    render_host_rules,
    render_router_rules,
)
from lodge.drivers.network.bridge.router import Router, missing_parts
from lodge.drivers.network.bridge.tables import KeptTable
from lodge.model.network import Lease, Network, NetworkStatus
from lodge.system.files import make_folder
from lodge.system.namespace import is_namespace, namespace_path
from lodge.system.nft import list_chains
from lodge.system.threads import in_thread

__all__ = ["Assembly"]

_FOLDER_MODE = 0o2750  # setgid: files inside belong to the group dnsmasq reads them by


class Assembly:
    """One network's parts on this host; made anew for every call, it keeps no state itself."""

    def __init__(
        self, network: Network, options: BridgeOptions, world: World, settings: HostSettings
    ) -> None:
        self._network = network
        self._options = options
        self._settings = settings
        self._subnets = Subnets.of(network)
        names = Names.of(network.id)
        self._names = names
        self._router = Router(network, names, self._subnets, options.link_range)
        self.folder = options.state_dir / network.id
        self.run_folder = options.run_dir / network.id
        inside = namespace_path(names.namespace)
        self.host_table = KeptTable(names.table, None, self.run_folder / "host-rules.json")
        self._router_table = KeptTable(ROUTER_TABLE, inside, self.run_folder / "router-rules.json")
        limit = options.start_timeout_s
        self._dnsmasq = Dnsmasq("dnsmasq", self.folder, self.run_folder, inside, world, limit)
        self._forwarder = Dnsmasq("forwarder", self.folder, self.run_folder, None, world, limit)

    async def ensure(self, leases: Sequence[Lease], host_lock: asyncio.Lock) -> None:
        """Bring up what is missing, replace what differs, leave the rest."""
        self._make_folders()
        async with host_lock:
            cables = await in_thread(self._router.build)
            has_ipv6_exit = await in_thread(self._has_ipv6_exit)
            await in_thread(self._hold_settings, has_ipv6_exit=has_ipv6_exit)
        upstream = self._upstream(cables)
        rules = render_host_rules(
            self._names, self._subnets, has_ipv6_exit=has_ipv6_exit, forwarder=upstream.forwarder
        )
        await self.host_table.ensure(rules)
        await self._router_table.ensure(render_router_rules(self._subnets, cables))
        await self._ensure_forwarder(upstream)
        await self._take_back(leases)
        config = render_dnsmasq(
            self._network,
            self._subnets,
            upstream,
            self._helper("dnsmasq"),
            has_ipv6_exit=has_ipv6_exit,
        )
        await self._dnsmasq.ensure(config, self._lease_files(leases), self._asks_router())

    async def set_leases(self, leases: Sequence[Lease]) -> None:
        """Let the running dnsmasq know other leases; its configuration stays as it is."""
        if not self._dnsmasq.config_path.exists():
            return  # not up: the next ensure brings the leases
        await self._take_back(leases)
        config = self._dnsmasq.config_path.read_text(encoding="utf-8")
        await self._dnsmasq.ensure(config, self._lease_files(leases), self._asks_router())

    async def stop(self) -> None:
        """End the processes."""
        await self._dnsmasq.stop()
        await self._forwarder.stop()

    async def look(self) -> NetworkStatus:
        """See what works; never changes anything."""
        reasons = await in_thread(missing_parts, self._router)
        if not reasons:
            reasons += await self._missing_rules()
        lost = await in_thread(self._settings.lost, self._network.id)
        reasons += [f"the host's setting {name} was changed" for name in lost]
        runs = self._dnsmasq.process() is not None
        answers = runs and await in_thread(self._answers)
        if not answers:
            reasons.append("dnsmasq does not answer" if runs else "dnsmasq does not run")
        if self._forwarder.config_path.exists() and self._forwarder.process() is None:
            reasons.append("the forwarder of DNS questions does not run")
        return NetworkStatus(
            is_up=not [reason for reason in reasons if not reason.startswith("dnsmasq")],
            dns_answers=answers,
            reason="; ".join(reasons),
            warnings=tuple(await self._warnings()),
        )

    def _answers(self) -> bool:
        return is_namespace(self._names.namespace) and self._asks_router()()

    def _make_folders(self) -> None:
        make_folder(self.folder.parent, mode=0o711)
        make_folder(self.run_folder.parent, mode=0o711)
        make_folder(self.run_folder, mode=0o700)
        _, _, gid = helper_user(self._options)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        facts = self.folder.stat()
        if (facts.st_gid, stat.S_IMODE(facts.st_mode)) != (gid, _FOLDER_MODE):
            os.chown(self.folder, 0, gid)
            self.folder.chmod(_FOLDER_MODE)

    def _hold_settings(self, *, has_ipv6_exit: bool) -> None:
        needed = needed_settings(
            has_ipv4=self._subnets.ipv4 is not None and not self._subnets.is_isolated,
            has_ipv6_exit=has_ipv6_exit,
        )
        self._settings.hold(self._network.id, needed)

    def _has_ipv6_exit(self) -> bool:
        wants = self._subnets.ipv6 is not None and not self._subnets.is_isolated
        return wants and host_routes_ipv6_out()

    def _upstream(self, cables: Cables) -> Upstream:
        """Choose who answers names of the outside; nobody does for an isolated network."""
        if self._subnets.is_isolated:
            return Upstream()
        direct = direct_resolv_file(self._options)
        if direct is not None:
            return Upstream(resolv_file=direct)
        cable = cables.ipv4 or cables.ipv6
        if cable is None or not has_nameserver(self._options):
            return Upstream()
        return Upstream(forwarder=str(cable.host.ip))

    async def _ensure_forwarder(self, upstream: Upstream) -> None:
        if upstream.forwarder is None:
            await self._forwarder.stop()
            self._forwarder.config_path.unlink(missing_ok=True)
            return
        config = render_forwarder(
            upstream.forwarder,
            self._names.link,
            self._helper("forwarder"),
            self._options.resolv_conf,
        )
        address = _address(upstream.forwarder)
        await self._forwarder.ensure(
            config, {}, lambda: answers_dns(None, address, FORWARDER_NAME, port=FORWARDER_PORT)
        )

    async def _take_back(self, leases: Sequence[Lease]) -> None:
        """Release addresses that dnsmasq still holds for somebody else than their owner now."""
        path, gateway = self.folder / "leases", self._subnets.ipv4
        if gateway is None or not path.exists() or self._dnsmasq.process() is None:
            return
        owners = {lease.ipv4: lease.mac for lease in leases}
        given = parse_given_leases(path.read_text(encoding="ascii", errors="replace"))
        stale = [one for one in given if owners.get(one.address) != one.mac]
        if stale:
            inside = self._router.namespace
            await in_thread(send_releases, inside, gateway.ip, stale)

    async def _missing_rules(self) -> list[str]:
        tables = {"host": self.host_table, "router": self._router_table}
        return [
            f"the {side}'s firewall table {kept.table} was changed or removed"
            for side, kept in tables.items()
            if not await kept.is_whole()
        ]

    async def _warnings(self) -> list[str]:
        if self._subnets.is_isolated:
            return []
        warnings = []
        try:
            dropping = foreign_drops(await list_chains())
        except LodgeError as error:
            dropping = []
            warnings.append(f"other programs' firewall rules cannot be read: {error.message}")
        warnings += [
            f"the firewall chain {chain} drops forwarded packets by policy: unless it lets those of"
            f" {self._names.link} pass, instances reach nothing beyond this host"
            for chain in dropping
        ]
        if not has_nameserver(self._options):
            warnings.append("this host has no name server: names of the outside do not resolve")
        return warnings

    def _helper(self, name: str) -> Helper:
        user, group, _ = helper_user(self._options)
        return Helper(user, group, self.folder, self.run_folder / f"{name}.pid")

    def _lease_files(self, leases: Sequence[Lease]) -> dict[str, str]:
        return {
            "hosts": render_hosts(leases),
            "names": render_names(self._network, self._subnets, leases),
        }

    def _asks_router(self) -> Callable[[], bool]:
        gateway = self._subnets.ipv4 or self._subnets.ipv6
        question = f"{GATEWAY_NAME}.{self._network.domain}"
        inside: Path = self._router.namespace
        return lambda: gateway is not None and answers_dns(inside, gateway.ip, question)


def _address(text: str) -> IPv4Address | IPv6Address:
    return IPv6Address(text) if ":" in text else IPv4Address(text)

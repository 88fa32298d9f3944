"""Kernel settings of the host that networks need, with the values they had before.

The former values are written down before anything is changed, and brought back when the last
network that needs a setting goes. Every function blocks shortly: use a worker thread.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from lodge.model.record import Record
from lodge.system.files import write_whole
from lodge.system.netlink import Netlink
from lodge.system.sysctl import read_sysctl, write_sysctl

__all__ = ["HostSettings", "host_routes_ipv6_out", "needed_settings"]

_IPV4 = "net/ipv4/ip_forward"
_IPV6 = "net/ipv6/conf/all/forwarding"
_DEFAULT_ROUTE = "::/0"


class _Held(Record, frozen=True, kw_only=True):
    """One changed setting: its value before, ours, and which networks need it."""

    former: str
    wanted: str
    users: tuple[str, ...]


class _Memory(Record, frozen=True, kw_only=True):
    """What was changed since which boot; a boot brings the administrator's values back."""

    boot: str = ""
    settings: dict[str, _Held] = {}


def host_routes_ipv6_out() -> bool:
    """Whether the host itself has an IPv6 default route."""
    with Netlink() as netlink:
        return any(route.prefix == _DEFAULT_ROUTE for route in netlink.routes())


def needed_settings(*, has_ipv4: bool, has_ipv6_exit: bool) -> dict[str, str]:
    """List the settings a network that goes out needs, in the order they must be made.

    A host that forwards IPv6 ignores router advertisements unless ``accept_ra`` is 2, and would
    lose its own default route (kernel documentation, networking/ip-sysctl, accept_ra).
    """
    needed = {_IPV4: "1"} if has_ipv4 else {}
    if has_ipv6_exit:
        for name in _ipv6_exits():
            setting = f"net/ipv6/conf/{name}/accept_ra"
            if read_sysctl(setting) in ("1", "2"):
                needed[setting] = "2"
        needed[_IPV6] = "1"
    return needed


def _ipv6_exits() -> Sequence[str]:
    with Netlink() as netlink:
        names = {link.index: link.name for link in netlink.links()}
        exits = {route.index for route in netlink.routes() if route.prefix == _DEFAULT_ROUTE}
    return sorted(names[index] for index in exits if index in names)


class HostSettings:
    """The memory of what was changed on the host, in one file."""

    def __init__(self, memory: Path) -> None:
        self._path = memory

    def hold(self, network_id: str, needed: Mapping[str, str]) -> None:
        """Make exactly these settings be held for a network; its others are let go."""
        held = self._load()
        for name in [name for name, entry in held.items() if network_id in entry.users]:
            if name not in needed:
                self._let_go(held, name, network_id)
        for name, value in needed.items():
            entry = held.get(name)
            if entry is None:
                former = read_sysctl(name)
                if former is None:
                    continue
                entry = _Held(former=former, wanted=value, users=())
            users = tuple(sorted({*entry.users, network_id}))
            held[name] = msgspec.structs.replace(entry, users=users)
        self._save(held)
        for name, entry in held.items():
            if network_id in entry.users:
                write_sysctl(name, entry.wanted)

    def release(self, network_id: str) -> None:
        """Let go of all settings of a network; what nobody needs gets its former value back."""
        held = self._load()
        # Backwards: forwarding ends before accept_ra is what it was.
        for name in reversed(list(held)):
            self._let_go(held, name, network_id)
        self._save(held)

    def lost(self, network_id: str) -> list[str]:
        """Name the settings of a network that somebody changed meanwhile; reads only."""
        return [
            name
            for name, entry in self._load().items()
            if network_id in entry.users and read_sysctl(name) != entry.wanted
        ]

    def _let_go(self, held: dict[str, _Held], name: str, network_id: str) -> None:
        entry = held[name]
        users = tuple(user for user in entry.users if user != network_id)
        if users:
            held[name] = msgspec.structs.replace(entry, users=users)
            return
        if network_id in entry.users and read_sysctl(name) == entry.wanted:
            write_sysctl(name, entry.former)
        del held[name]

    def _load(self) -> dict[str, _Held]:
        try:
            memory = msgspec.json.decode(self._path.read_bytes(), type=_Memory)
        except FileNotFoundError:
            return {}
        if memory.boot == _boot():
            return dict(memory.settings)
        fresh = {}
        for name, entry in memory.settings.items():
            now = read_sysctl(name)
            if now is not None:
                fresh[name] = msgspec.structs.replace(entry, former=now)
        return fresh

    def _save(self, held: Mapping[str, _Held]) -> None:
        if not held:
            self._path.unlink(missing_ok=True)
            return
        memory = msgspec.json.encode(_Memory(boot=_boot(), settings=dict(held)))
        if not self._path.exists() or self._path.read_bytes() != memory:
            write_whole(self._path, memory)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

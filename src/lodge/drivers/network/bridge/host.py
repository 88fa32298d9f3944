"""What the host is and has beside our networks: programs, prefixes, name servers; reads only."""

import errno
import grp
import ipaddress
import pwd
from collections.abc import Sequence
from pathlib import Path

from lodge.drivers.network.bridge.options import BridgeOptions
from lodge.drivers.network.bridge.parse import nameservers, reachable_from_elsewhere
from lodge.drivers.network.errors import NetworkToolMissingError
from lodge.system.errors import ProgramMissingError
from lodge.system.netlink import Netlink
from lodge.system.process import find_program

__all__ = ["direct_resolv_file", "has_nameserver", "helper_user", "require_tools", "used_prefixes"]

_PROGRAMS = ("dnsmasq", "nft", "nsenter")
_TUN = Path("/dev/net/tun")
_WIDEST_SPLIT = 1  # 0.0.0.0/1 and 128.0.0.0/1: a default route in two halves, as VPNs make it


def require_tools() -> None:
    """Refuse a host without the programs and the device that networks need.

    Raises:
        NetworkToolMissingError: naming all that is missing.
    """
    missing = [name for name in _PROGRAMS if not _is_installed(name)]
    if not _TUN.exists():
        missing.append(str(_TUN))
    if missing:
        raise NetworkToolMissingError(
            f"networks need {', '.join(missing)}, which this host does not have",
            where=missing[0],
            missing=missing,
        )


def _is_installed(name: str) -> bool:
    try:
        find_program(name)
    except ProgramMissingError:
        return False
    return True


def helper_user(options: BridgeOptions) -> tuple[str, str, int]:
    """Return user, group and group id that dnsmasq falls to after its start."""
    for name in options.helper_users:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return name, grp.getgrgid(user.pw_gid).gr_name, user.pw_gid
    wanted = " or ".join(options.helper_users)
    raise NetworkToolMissingError(f"this host has no user {wanted}", where="passwd")


def used_prefixes(without_link: str | None = None) -> Sequence[str]:
    """List what the host has or routes, default routes and the given link's own left out."""
    with Netlink() as netlink:
        indexes = {link.name: link.index for link in netlink.links()}
        own = indexes.get(without_link or "", -1)
        found = [address.address for address in netlink.addresses() if address.index != own]
        found += [route.prefix for route in netlink.routes() if route.index != own]
    networks = {ipaddress.ip_interface(text).network for text in found}
    listed = [
        network
        for network in networks
        if network.prefixlen > _WIDEST_SPLIT and not network.is_loopback
    ]
    return [
        str(network) for network in sorted(listed, key=lambda network: (network.version, network))
    ]


def direct_resolv_file(options: BridgeOptions) -> Path | None:
    """Return a resolv.conf whose servers a router can ask itself, or null: it needs a forwarder.

    Where the host's own file names systemd-resolved's stub (127.0.0.53), the file that
    systemd-resolved keeps for others lists the real servers (systemd-resolved.service(8)).
    """
    for path in (options.resolv_conf, options.resolved_conf):
        if reachable_from_elsewhere(nameservers(_text(path))):
            return path
    return None


def has_nameserver(options: BridgeOptions) -> bool:
    """Whether the host knows any name server at all."""
    return bool(nameservers(_text(options.resolv_conf)))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return ""
        raise

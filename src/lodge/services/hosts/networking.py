"""What networks need, tried in namespaces that end with the program that tries."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lodge.model.host import Capability
from lodge.services.hosts.probes import Ground, missing, ok, refusal

__all__ = ["networking"]

_RULES: Final = b"""
table inet lodge_probe {
  set leases { type ipv4_addr . ether_addr; }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    ip saddr . ether saddr @leases accept
    counter drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 192.0.2.0/24 ip daddr != 192.0.2.0/24 masquerade
    ip6 saddr 2001:db8::/64 ip6 daddr != 2001:db8::/64 masquerade
  }
}
table bridge lodge_probe {
  chain forward { type filter hook forward priority filter; policy accept; }
}
"""


@dataclass(frozen=True, slots=True)
class _Trial:
    """Something done in a namespace of its own."""

    name: str
    argv: tuple[str, ...]
    works: str
    cost: str
    fix: str
    is_required: bool = False
    stdin: bytes | None = None


_NO_NETWORKS: Final = "no managed networks: instances stay without network"
_TRIALS: Final = (
    _Trial(
        "network-namespaces",
        ("true",),
        "a namespace was made and left",
        "hosts cannot be simulated, and nothing of the network can be tried safely",
        "use a kernel with CONFIG_NET_NS, and run lodged as root",
    ),
    _Trial(
        "bridge",
        ("ip", "link", "add", "probe0", "type", "bridge"),
        "a bridge was made",
        _NO_NETWORKS,
        "load the kernel module bridge",
        is_required=True,
    ),
    _Trial(
        "tap",
        ("ip", "tuntap", "add", "dev", "probe0", "mode", "tap", "vnet_hdr"),
        "a tap device was made",
        _NO_NETWORKS,
        "load the kernel module tun; in a container, pass /dev/net/tun in",
        is_required=True,
    ),
    _Trial(
        "veth",
        ("ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"),
        "a pair of virtual cables was made",
        "no networks for containers and simulated hosts",
        "load the kernel module veth",
    ),
    _Trial(
        "vlan",
        ("ip", "link", "add", "probe0", "type", "bridge", "vlan_filtering", "1"),
        "a bridge that filters VLANs was made",
        "networks cannot be VLANs",
        "use a kernel with CONFIG_BRIDGE_VLAN_FILTERING",
    ),
    _Trial(
        "vxlan",
        ("ip", "link", "add", "probe0", "type", "vxlan", "id", "7", "dstport", "4789"),
        "a tunnel was made",
        "networks cannot span hosts",
        "load the kernel module vxlan",
    ),
    _Trial(
        "nftables",
        ("nft", "-f", "-"),
        "sets, connection tracking and masquerading for IPv4 and IPv6 were loaded",
        "networks reach nothing outside, and nothing filters them",
        "load the kernel modules nf_tables, nft_masq, nft_ct; install the package nftables",
        is_required=True,
        stdin=_RULES,
    ),
)


async def networking(_ground: Ground) -> Sequence[Capability]:
    """Try each in a new namespace; the host's own network is never touched."""
    return await asyncio.gather(*(_try(trial) for trial in _TRIALS))


async def _try(trial: _Trial) -> Capability:
    why = await refusal(["unshare", "--net", "--", *trial.argv], stdin=trial.stdin)
    if why is None:
        return ok(trial.name, trial.works, is_required=trial.is_required)
    return missing(trial.name, why, cost=trial.cost, fix=trial.fix, is_required=trial.is_required)

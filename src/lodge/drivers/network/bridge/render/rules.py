"""nftables rules of the host's side and of the router; pure.

The host's table touches only what passes the network's own cable. A ``drop`` here is final, an
``accept`` is not: other programs' tables keep their say (nft(8), "base chains").
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lodge.drivers.network.bridge.layout import BRIDGE, UPLINK, Cable, Names, Subnets

__all__ = ["ROUTER_TABLE", "Cables", "render_host_rules", "render_router_rules"]

ROUTER_TABLE = "lodge"
"""The table inside the router namespace."""

# Numbers, not names: nft looks names up in /etc/protocols, which a minimal Debian does not have.
_ICMP = 1
_ICMPV6 = 58

_HOSTS_OWN = ("ip daddr 169.254.0.0/16", "ip6 daddr { fd00:ec2::254, fd20:ce::254 }")
"""Link-local is not for routers (RFC 3927, 2.7), yet Linux forwards it: behind it clouds give a
host its credentials, which must not become its guests'. Over IPv6 two clouds use other addresses.
The router itself may ask there: some clouds serve DNS at the same address."""


@dataclass(frozen=True, slots=True)
class Cables:
    """The addresses of the cable, for the families the network has."""

    ipv4: Cable | None
    ipv6: Cable | None


def render_host_rules(
    names: Names, subnets: Subnets, *, has_ipv6_exit: bool, forwarder: str | None = None
) -> str:
    """Write the network's table in the host's namespace: masquerade outwards, nothing inwards.

    New connections reach instances from the host itself (they do not pass ``forward``) and through
    the host's port forwards only, so two networks of one host are apart as well.
    """
    link = names.link
    if subnets.is_isolated:
        chains = _isolated_chains(link)
    else:
        chains = [
            _chain(
                "p_forward",
                "type filter hook forward priority filter; policy accept;",
                f'oifname "{link}" ct state established,related accept',
                f'oifname "{link}" ct status dnat accept',
                f'oifname "{link}" drop',
            ),
            _chain(
                "p_postrouting",
                "type nat hook postrouting priority srcnat; policy accept;",
                *_masquerades(link, subnets, has_ipv6_exit=has_ipv6_exit),
            ),
        ]
        if forwarder is not None:
            chains.append(_forwarder_chain(link, forwarder))
    return _table(names.table, chains)


def render_router_rules(subnets: Subnets, cables: Cables) -> str:
    """Write the table inside the router: only the network's own addresses get out.

    Connections from the host are shown to guests as coming from their gateway, so that guests need
    no route to the cable (an isolated guest has none).
    """
    forward = ["ct state established,related accept", "ct state invalid drop"]
    if not subnets.is_isolated:
        forward += [f'iifname "{BRIDGE}" {target} drop' for target in _HOSTS_OWN]
        forward += [
            f'iifname "{BRIDGE}" oifname "{UPLINK}" {family} saddr {gateway.network} accept'
            for family, gateway in (("ip", subnets.ipv4), ("ip6", subnets.ipv6))
            if gateway
        ]
    forward.append(f'iifname "{UPLINK}" oifname "{BRIDGE}" accept')
    shown = [
        f'oifname "{BRIDGE}" {family} saddr {cable.host.ip} masquerade'
        for family, cable in (("ip", cables.ipv4), ("ip6", cables.ipv6))
        if cable
    ]
    chains = [
        _chain("p_forward", "type filter hook forward priority filter; policy drop;", *forward),
        _chain(
            "p_input",
            "type filter hook input priority filter; policy drop;",
            "ct state established,related accept",
            'iifname "lo" accept',
            f"meta l4proto {{ {_ICMP}, {_ICMPV6} }} accept",
            "udp dport { 53, 67, 547 } accept",
            "tcp dport 53 accept",
        ),
        _chain(
            "p_postrouting", "type nat hook postrouting priority srcnat; policy accept;", *shown
        ),
    ]
    return _table(ROUTER_TABLE, chains)


def _isolated_chains(link: str) -> list[str]:
    return [
        _chain(
            "p_forward",
            "type filter hook forward priority filter; policy accept;",
            f'iifname "{link}" drop',
            f'oifname "{link}" drop',
        ),
        _chain(
            "p_input",
            "type filter hook input priority filter; policy accept;",
            f'iifname "{link}" ct state established,related accept',
            f'iifname "{link}" meta l4proto {_ICMPV6} accept',
            f'iifname "{link}" drop',
        ),
    ]


def _forwarder_chain(link: str, address: str) -> str:
    """Keep the host's other neighbours away from the helper that answers on the cable."""
    return _chain(
        "p_input",
        "type filter hook input priority filter; policy accept;",
        f'iifname != {{ "lo", "{link}" }} ip daddr {address} drop',
    )


def _masquerades(link: str, subnets: Subnets, *, has_ipv6_exit: bool) -> list[str]:
    rules = []
    if subnets.ipv4 is not None:
        rules.append(f'oifname != "{link}" ip saddr {subnets.ipv4.network} masquerade')
    if subnets.ipv6 is not None and has_ipv6_exit:
        rules.append(f'oifname != "{link}" ip6 saddr {subnets.ipv6.network} masquerade')
    return rules


def _chain(name: str, *lines: str) -> str:
    body = "".join(f"    {line}\n" for line in lines)
    return f"  chain {name} {{\n{body}  }}\n"


def _table(name: str, chains: Sequence[str]) -> str:
    """Replace the whole table in one transaction; the first line makes the delete succeed."""
    head = f"table inet {name}\ndelete table inet {name}\n"
    return f"{head}table inet {name} {{\n{''.join(chains)}}}\n"

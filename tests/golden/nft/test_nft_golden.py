"""Network to firewall rules, byte for byte; set LODGE_GOLDEN=write to write them anew."""

import os
import subprocess
from pathlib import Path

import pytest
from network_lab import network, on_private_host

from lodge.drivers.network.bridge.layout import Names, Subnets, free_cable, ipv6_cable
from lodge.drivers.network.bridge.render.rules import (
    Cables,
    render_host_rules,
    render_router_rules,
)
from lodge.model.network import Network, NetworkKind

HERE = Path(__file__).parent

CASES: dict[str, tuple[Network, bool, str | None]] = {
    "nat": (network(), True, None),
    "nat-without-ipv6-exit": (network(), False, None),
    "nat-forwarder": (network(), False, "169.254.224.0"),
    "isolated": (network(kind=NetworkKind.ISOLATED), False, None),
    "ipv4-only": (network(ipv6=None), False, None),
    "ipv6-only": (network(ipv4=None), True, None),
}


def _host(name: str) -> str:
    wanted, has_exit, forwarder = CASES[name]
    return render_host_rules(
        Names.of(wanted.id), Subnets.of(wanted), has_ipv6_exit=has_exit, forwarder=forwarder
    )


def _router(name: str) -> str:
    wanted = CASES[name][0]
    cables = Cables(
        free_cable("169.254.224.0/20", []) if wanted.ipv4 else None,
        ipv6_cable(wanted.id) if wanted.ipv6 else None,
    )
    return render_router_rules(Subnets.of(wanted), cables)


def _same(name: str, text: str) -> None:
    golden = HERE / name
    if os.environ.get("LODGE_GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", CASES)
def test_a_network_gives_these_rules_of_the_host(name: str) -> None:
    _same(f"{name}.host.nft", _host(name))


@pytest.mark.parametrize("name", CASES)
def test_a_network_gives_these_rules_of_the_router(name: str) -> None:
    _same(f"{name}.router.nft", _router(name))


@pytest.mark.root
def test_the_kernel_accepts_every_rule_set() -> None:
    def scenario() -> None:
        for name in CASES:
            for text in (_host(name), _router(name)):
                done = subprocess.run(
                    ["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False
                )
                assert done.returncode == 0, (name, done.stderr)

    on_private_host(scenario)

"""Network to dnsmasq's files, byte for byte; set LODGE_GOLDEN=write to write them anew."""

import os
import subprocess
from pathlib import Path

import pytest
from network_lab import lease, network

from lodge.drivers.network.bridge.layout import Subnets
from lodge.drivers.network.bridge.render.dnsmasq import (
    Helper,
    Upstream,
    render_dnsmasq,
    render_forwarder,
)
from lodge.drivers.network.bridge.render.leases import render_hosts, render_names
from lodge.model.network import Network, NetworkKind

HERE = Path(__file__).parent
HELPER = Helper(
    "dnsmasq", "nogroup", Path("/var/lib/lodge/networks/1"), Path("/run/lodge/networks/1/x.pid")
)
DIRECT = Upstream(resolv_file=Path("/etc/resolv.conf"))

CONFIGS: dict[str, tuple[Network, Upstream, bool]] = {
    "nat": (network(), DIRECT, True),
    "nat-without-ipv6-exit": (network(mtu=1500), DIRECT, False),
    "nat-forwarder": (network(), Upstream(forwarder="169.254.224.0"), True),
    "nat-no-upstream": (network(), Upstream(), True),
    "isolated": (network(kind=NetworkKind.ISOLATED), Upstream(), False),
    "ipv4-only-wide": (network(ipv4="10.64.0.1/10", ipv6=None), DIRECT, False),
    "ipv6-only": (network(ipv4=None, domain="vm.example.com", mtu=9000), DIRECT, True),
    "smallest": (network(ipv4="192.168.128.1/30", ipv6=None, mtu=576), DIRECT, False),
}


def _config(name: str) -> str:
    wanted, upstream, has_exit = CONFIGS[name]
    subnets = Subnets.of(wanted)
    return render_dnsmasq(wanted, subnets, upstream, HELPER, has_ipv6_exit=has_exit)


def _same(name: str, text: str) -> None:
    golden = HERE / name
    if os.environ.get("LODGE_GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_network_gives_this_configuration(name: str) -> None:
    _same(f"{name}.conf", _config(name))


@pytest.mark.parametrize("name", CONFIGS)
def test_dnsmasq_itself_accepts_the_configuration(name: str, tmp_path: Path) -> None:
    text = _config(name).replace(str(HELPER.folder), str(tmp_path))
    (tmp_path / "conf").write_text(text)
    for file in ("hosts", "names"):
        (tmp_path / file).write_text("")
    command = ["/usr/sbin/dnsmasq", "--test", f"--conf-file={tmp_path / 'conf'}"]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stderr


def test_the_forwarder_gives_this_configuration() -> None:
    text = render_forwarder("169.254.224.0", "lodge-1", HELPER, Path("/etc/resolv.conf"))
    _same("forwarder.conf", text)


def test_leases_give_these_files() -> None:
    blue = network()
    leases = [
        lease("web2", 16),
        lease("web1", 15),
        lease("web1", 9, nic="eth1", ipv6=None),
        lease("six", 40, ipv4=None),
    ]
    _same("hosts", render_hosts(leases))
    _same("names", render_names(blue, Subnets.of(blue), leases))
    assert render_hosts(leases) == render_hosts(leases[::-1])

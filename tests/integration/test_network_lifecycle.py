"""A real network comes up, is adopted, and goes without a trace; foreign things stay."""

import fcntl
import os
import re
import socket
import struct
from pathlib import Path

import pytest
from network_lab import (
    OUTSIDE,
    RUN,
    STATE,
    Guest,
    bridge,
    eventually,
    inside,
    lease,
    make_outside,
    network,
    on_private_host_async,
    sh,
    traces,
)

from lodge.drivers.network.bridge.layout import Names
from lodge.drivers.network.errors import AddressInUseError, NetworkFailedError, PortBusyError
from lodge.model.network import Network, NetworkKind

pytestmark = pytest.mark.root

_FOREIGN = """
table inet foreign {
  set seen { type ipv4_addr; elements = { 198.51.100.1 } }
  chain input { type filter hook input priority filter; policy accept; tcp dport 9 drop; }
}
table ip lodge_zzz {
  chain c { type filter hook output priority 0; policy accept; counter; }
}
"""


def _stamps() -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino)
        for root in (STATE, RUN)
        for path in sorted(root.rglob("*"))
    }


def _picture(of: Network) -> dict[str, object]:
    """What a network is made of, inside and outside; ``-a`` shows the handles of loaded rules."""
    router = Names.of(of.id).namespace
    links = inside(router, "ip", "-d", "-o", "link")
    return {
        **traces(),
        "stamps": _stamps(),
        "router links": re.sub(r"(\w+_timer) +[0-9.]+", r"\1", links),
        "router routes": inside(router, "ip", "route"),
        "router rules": inside(router, "nft", "-a", "list", "ruleset"),
        "host rules": sh("nft", "-a", "list", "ruleset"),
    }


def test_a_second_ensure_and_one_by_a_new_daemon_change_nothing() -> None:
    async def scenario() -> None:
        make_outside()
        blue = network()
        await bridge().ensure(blue, [lease("web1", 15)])
        Guest(blue, "web1", lease("web1", 15).mac)
        router = Names.of(blue.id).namespace
        for name in ("br0", "up0", "t-web1"):  # carriers come a moment later
            eventually(
                lambda n=name: "state UP" in inside(router, "ip", "link", "show", n), what=name
            )
        eventually(lambda: "state UP" in sh("ip", "link", "show", router), what="host's end")
        before = _picture(blue)
        driver = bridge()
        await driver.ensure(blue, [lease("web1", 15)])
        assert _picture(blue) == before
        seen = await driver.status(blue)
        assert (seen.is_up, seen.dns_answers, seen.reason) == (True, True, "")

    on_private_host_async(scenario)


@pytest.mark.parametrize("kind", NetworkKind, ids=str)
def test_remove_leaves_no_trace_and_foreign_tables_stay(kind: NetworkKind) -> None:
    async def scenario() -> None:
        make_outside(ipv6=True)
        Path("/run/foreign.nft").write_text(_FOREIGN)
        sh("nft", "-f", "/run/foreign.nft")
        driver, blue = bridge(), network(kind=kind)
        before = traces()
        await driver.ensure(blue, [lease("web1", 15)])
        port = driver.open_port(blue, "p-web1", "52:54:00:00:00:0f", uid=600000)
        assert "table ip lodge_zzz" in sh("nft", "list", "ruleset")
        await driver.remove(blue)
        os.close(port)
        assert traces() == before
        await driver.remove(blue)
        assert traces() == before

    on_private_host_async(scenario)


def test_the_last_network_brings_the_hosts_settings_back() -> None:
    async def scenario() -> None:
        make_outside(ipv6=True)
        accept = Path("/proc/sys/net/ipv6/conf/eth0/accept_ra")
        accept.write_text("1")
        driver, blue = bridge(), network()
        red = network("red", ipv4="10.218.0.1/24", ipv6="fd12:3456:789b::1/64")
        before = traces()
        await driver.ensure(blue, [])
        await driver.ensure(red, [])
        assert traces()["forwarding"] == "1\n1\n"
        assert accept.read_text() == "2\n"
        await driver.remove(blue)
        assert traces()["forwarding"] == "1\n1\n"
        await driver.remove(red)
        assert traces() == before
        assert accept.read_text() == "1\n"

    on_private_host_async(scenario)


def test_forwarding_that_was_on_before_stays_on() -> None:
    async def scenario() -> None:
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        driver, blue = bridge(), network(ipv6=None)
        await driver.ensure(blue, [])
        await driver.remove(blue)
        assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"

    on_private_host_async(scenario)


def test_addresses_the_host_has_or_routes_are_refused_by_name() -> None:
    async def scenario() -> None:
        make_outside()
        sh("ip", "route", "add", "10.50.0.0/16", "via", OUTSIDE)
        driver = bridge()
        assert {"10.50.0.0/16", "192.0.2.0/24"} <= set(await driver.used_prefixes())
        for text in ("10.50.3.1/24", "192.0.2.129/25", "10.0.0.1/8"):
            with pytest.raises(AddressInUseError) as refused:
                await driver.check(network(ipv4=text))
            assert refused.value.where == "ipv4"
        blue = network()
        await driver.check(blue)
        await driver.ensure(blue, [])
        await driver.check(blue)
        with pytest.raises(AddressInUseError, match=r"10\.217\.0\.0/24"):
            await driver.check(network("red"))

    on_private_host_async(scenario)


def test_a_port_is_a_tap_on_the_bridge_that_lives_with_its_descriptor() -> None:
    async def scenario() -> None:
        driver, blue = bridge(), network(ipv6=None)
        with pytest.raises(NetworkFailedError, match="not up"):
            driver.open_port(blue, "p1", "52:54:00:00:00:01", uid=600000)
        await driver.ensure(blue, [])
        router = Names.of(blue.id).namespace
        handle = driver.open_port(blue, "p1", "52:54:00:00:00:01", uid=600000)
        shown = inside(router, "ip", "-d", "link", "show", "p1")
        for part in ("master br0", "mtu 1450", "UP", "vnet_hdr", "user 600000", "persist off"):
            assert part in shown
        flags = struct.unpack("16sH22x", fcntl.ioctl(handle, 0x800454D2, bytes(40)))[1]
        assert flags & 0x5002 == 0x5002  # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
        with pytest.raises(PortBusyError):
            driver.open_port(blue, "p1", "52:54:00:00:00:01", uid=600000)
        os.close(handle)
        assert "p1" not in inside(router, "ip", "link")
        second = driver.open_port(blue, "p1", "52:54:00:00:00:01", uid=600000)
        await driver.close_port(blue, "p1")
        await driver.close_port(blue, "p1")
        assert "p1" not in inside(router, "ip", "link")
        os.close(second)

    on_private_host_async(scenario)


def test_frames_pass_between_a_guest_and_the_holder_of_a_port() -> None:
    async def scenario() -> None:
        driver, blue, web = bridge(), network(ipv6=None), lease("web1", 15, ipv6=None)
        await driver.ensure(blue, [web])
        guest = Guest(blue, "web1", web.mac)
        guest.ask_for_lease()
        handle = driver.open_port(blue, "p1", "52:54:00:00:00:01", uid=600000)

        def hears() -> bool:
            guest(
                "busybox", "arping", "-c", "1", "-w", "1", "-I", "eth0", "10.217.0.77", check=False
            )
            try:
                while True:
                    frame = os.read(handle, 65536)[10:]
                    if frame[12:14] == b"\x08\x06" and socket.inet_aton("10.217.0.77") in frame:
                        return True
            except BlockingIOError:
                return False

        eventually(hears, what="an ARP request on the tap")
        os.close(handle)

    on_private_host_async(scenario)


def test_a_loopback_name_server_of_the_host_is_asked_through_a_forwarder() -> None:
    async def scenario() -> None:
        resolv, missing = Path("/run/resolv.conf"), Path("/run/none")
        resolv.write_text("nameserver 127.0.0.53\n")
        stub = Path("/run/stub.conf")
        stub.write_text(
            "keep-in-foreground\nlisten-address=127.0.0.53\nbind-interfaces\nno-resolv\nno-hosts\n"
            "pid-file=/run/stub.pid\nuser=root\naddress=/outside.example/198.51.100.7\n"
        )
        make_outside()
        sh("sh", "-c", f"dnsmasq --conf-file={stub} >/dev/null 2>&1 </dev/null &")
        driver = bridge(resolv_conf=resolv, resolved_conf=missing)
        blue, web = network(), lease("web1", 15)
        before = traces()
        await driver.ensure(blue, [web])
        guest = Guest(blue, "web1", web.mac)
        guest.ask_for_lease()
        eventually(lambda: "198.51.100.7" in guest.lookup("outside.example"), what="an answer")
        pid = (RUN / blue.id / "forwarder.json").read_text()
        await driver.ensure(blue, [web])
        assert (RUN / blue.id / "forwarder.json").read_text() == pid
        # The host changes to a server that can be asked directly: no forwarder any more.
        resolv.write_text(f"nameserver {OUTSIDE}\n")
        await driver.ensure(blue, [web])
        assert not (RUN / blue.id / "forwarder.json").exists()
        assert f"resolv-file={resolv}" in (STATE / blue.id / "dnsmasq.conf").read_text()
        sh("ip", "netns", "del", guest.name)
        await driver.remove(blue)
        assert traces() == before

    on_private_host_async(scenario)


def test_a_foreign_firewall_that_drops_forwarded_packets_is_told_as_a_warning() -> None:
    async def scenario() -> None:
        make_outside()
        driver, blue = bridge(), network()
        await driver.ensure(blue, [])
        assert (await driver.status(blue)).warnings == ()
        Path("/run/docker.nft").write_text(
            "table ip filter {\n"
            "chain FORWARD { type filter hook forward priority 0; policy drop; }\n"
            "}\n"
        )
        sh("nft", "-f", "/run/docker.nft")
        seen = await driver.status(blue)
        assert seen.is_up
        assert len(seen.warnings) == 1
        assert "ip filter FORWARD" in seen.warnings[0]

    on_private_host_async(scenario)

"""What breaks a real network from outside, and how it is seen and repaired."""

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from network_lab import (
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
from lodge.drivers.network.errors import NetworkFailedError, NetworkToolMissingError
from lodge.system.process import identify, is_alive

pytestmark = pytest.mark.root

BLUE = network()
ROUTER = Names.of(BLUE.id).namespace
LINK = Names.of(BLUE.id).link


def _pid() -> int:
    return int(json.loads((RUN / BLUE.id / "dnsmasq.json").read_text())["pid"])


def _kill() -> None:
    found = identify(_pid())
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(found), what="the end of dnsmasq")


def _signal(number: int) -> Callable[[], object]:
    return lambda: os.kill(_pid(), number)


DAMAGES: dict[str, tuple[Callable[[], object], str]] = {
    "dnsmasq-killed": (_kill, "dnsmasq does not run"),
    "dnsmasq-stopped": (_signal(signal.SIGSTOP), "dnsmasq does not answer"),
    "rules-flushed": (lambda: sh("nft", "flush", "ruleset"), "host's firewall table"),
    "router-rules-flushed": (
        lambda: inside(ROUTER, "nft", "flush", "ruleset"), "router's firewall table"),
    "link-deleted": (lambda: sh("ip", "link", "del", LINK), f"interface {LINK} is gone"),
    "link-down": (lambda: sh("ip", "link", "set", LINK, "down"), f"interface {LINK} is down"),
    "route-deleted": (lambda: sh("ip", "route", "del", "10.217.0.0/24"), "route to 10.217.0.0/24"),
    "bridge-down": (
        lambda: inside(ROUTER, "ip", "link", "set", "br0", "down"), "interface br0 is down"),
    "namespace-deleted": (
        lambda: sh("ip", "netns", "del", ROUTER), "router namespace is gone"),
    "forwarding-off": (
        lambda: Path("/proc/sys/net/ipv4/ip_forward").write_text("0"), "net/ipv4/ip_forward"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_is_told_by_status_and_repaired_by_ensure(damage: str) -> None:
    harm, told = DAMAGES[damage]

    async def scenario() -> None:
        make_outside()
        driver, web = bridge(), lease("web1", 15)
        await driver.ensure(BLUE, [web])
        whole = await driver.status(BLUE)
        assert (whole.is_up, whole.dns_answers) == (True, True)
        harm()
        broken = await driver.status(BLUE)
        assert not (broken.is_up and broken.dns_answers)
        assert told in broken.reason
        await driver.ensure(BLUE, [web])
        repaired = await driver.status(BLUE)
        assert (repaired.is_up, repaired.dns_answers, repaired.reason) == (True, True, "")
        guest = Guest(BLUE, "web1", web.mac)
        assert guest.ask_for_lease()["ip"] == "10.217.0.15"
        assert guest.reaches("192.0.2.1")

    on_private_host_async(scenario)


def test_a_dnsmasq_whose_note_was_never_written_is_found_and_replaced() -> None:
    async def scenario() -> None:
        driver = bridge()
        await driver.ensure(BLUE, [])
        orphan = _pid()
        (RUN / BLUE.id / "dnsmasq.json").unlink()
        await bridge().ensure(BLUE, [])
        assert _pid() != orphan
        assert traces()["processes"].count("\n") == 0

    on_private_host_async(scenario)


def test_lost_run_files_after_a_reboot_do_not_matter() -> None:
    async def scenario() -> None:
        driver = bridge()
        before = traces()
        await driver.ensure(BLUE, [lease("web1", 15)])
        for path in sorted(RUN.rglob("*")):
            if path.is_file():
                path.unlink()
        await bridge().ensure(BLUE, [lease("web1", 15)])
        await bridge().remove(BLUE)
        assert traces() == before

    on_private_host_async(scenario)


@pytest.mark.parametrize("left", ["namespace", "file", "link", "table", "folders"])
def test_leftovers_of_a_half_made_network_are_removed(left: str) -> None:
    names = Names.of(BLUE.id)
    leave = {
        "namespace": lambda: sh("ip", "netns", "add", names.namespace),
        "file": lambda: Path(f"/run/netns/{names.namespace}").touch(),
        "link": lambda: sh("ip", "link", "add", names.link, "type", "veth", "peer", "name", "x"),
        "table": lambda: sh("nft", "add", "table", "inet", names.table),
        "folders": lambda: (STATE / BLUE.id).mkdir(parents=True),
    }[left]

    async def scenario() -> None:
        sh("ip", "netns", "add", "other")
        before = traces()
        leave()
        await bridge().remove(BLUE)
        assert traces() == before
        assert not (STATE / BLUE.id).exists()
        leave()
        await bridge().ensure(BLUE, [])
        assert (await bridge().status(BLUE)).reason == ""
        await bridge().remove(BLUE)
        assert traces() == before

    on_private_host_async(scenario)


def test_a_bringing_up_cut_off_anywhere_is_completed_or_removed() -> None:
    async def scenario() -> None:
        before = traces()
        cut_off = 0
        for hundredths in range(0, 16, 3):
            task = asyncio.create_task(bridge().ensure(BLUE, []))
            await asyncio.wait([task], timeout=hundredths / 100)
            cut_off += task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if hundredths % 2:
                await bridge().ensure(BLUE, [])
                assert (await bridge().status(BLUE)).reason == ""
            await bridge().remove(BLUE)
            assert traces() == before
        assert cut_off

    on_private_host_async(scenario)


def test_a_dnsmasq_that_cannot_start_is_told_with_its_own_words() -> None:
    async def scenario() -> None:
        driver = bridge()
        await driver.ensure(BLUE, [])
        _kill()
        squatter = (
            "import socket,time; s=socket.socket(); s.bind(('10.217.0.1',53)); s.listen();"
            "time.sleep(60)"
        )
        inside(
            ROUTER, "sh", "-c", f'python3 -c "{squatter}" >/dev/null 2>&1 </dev/null & sleep 0.5'
        )
        with pytest.raises(NetworkFailedError, match=r"dnsmasq ended: .*in use"):
            await driver.ensure(BLUE, [])

    on_private_host_async(scenario)


def test_missing_programs_are_all_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("lodge.system.process", fromlist=["x"])._ENVIRONMENT, "PATH", "/nonexistent"
    )

    async def scenario() -> None:
        with pytest.raises(NetworkToolMissingError) as refused:
            await bridge().check(BLUE)
        assert refused.value.details["missing"] == ["dnsmasq", "nft", "nsenter"]
        assert "dnsmasq-base" in refused.value.hint
        with pytest.raises(NetworkToolMissingError):
            await bridge().ensure(BLUE, [])
        assert (await bridge().status(BLUE)).is_up is False

    asyncio.run(scenario())

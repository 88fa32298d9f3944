"""A host of its own for network tests, with an outside world and guests, all in namespaces.

Scenarios run in a child process that has entered new network and mount namespaces with an empty
``/run``: nothing they do can be seen by this machine, and everything ends with the child.
"""

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from lodge.base.world import RealWorld
from lodge.drivers.network.bridge.driver import Bridge
from lodge.drivers.network.bridge.layout import BRIDGE, Names
from lodge.drivers.network.bridge.options import BridgeOptions
from lodge.model.network import Lease, Network, NetworkKind

_CLONE_NEWNET, _CLONE_NEWNS = 0x40000000, 0x00020000
STATE, RUN = Path("/run/lab/state"), Path("/run/lab/run")
HOST, OUTSIDE = "192.0.2.2", "192.0.2.1"
HOST6, OUTSIDE6 = "2001:db8:2::2", "2001:db8:2::1"

_LEASE_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface
[ -n "$mtu" ] && ip link set $interface mtu $mtu
[ -n "$router" ] && ip route replace default via $router
for name in ip mask router dns domain hostname mtu search; do
  eval "echo $name=\\$$name"
done > $LEASE_FILE
"""


def sh(*argv: str, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    if check and done.returncode:
        raise AssertionError(f"{argv}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout


def inside(namespace: str, *argv: str, check: bool = True) -> str:
    return sh("nsenter", f"--net=/run/netns/{namespace}", *argv, check=check)


def on_private_host(scenario: Callable[[], None]) -> None:
    """Run a scenario on a host made for it, and raise here what failed there."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        try:
            _make_host()
            scenario()
            status = 0
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-60000:])
        finally:
            with contextlib.suppress(BaseException):
                _end_all_but(os.getpid())
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        said = told.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise AssertionError(said or f"the scenario ended with status {status}")


def on_private_host_async(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    on_private_host(lambda: asyncio.run(scenario()))


def _make_host() -> None:
    os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    sh("mount", "--make-rprivate", "/")
    sh("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    sh("mount", "-t", "sysfs", "sysfs", "/sys")
    for folder in (STATE, RUN):
        folder.mkdir(parents=True)
    # The standard library's temporary folder need not be reachable by dnsmasq's user; /run is.
    tempfile.tempdir = "/run"
    for key in ("iptables", "ip6tables", "arptables"):
        path = Path(f"/proc/sys/net/bridge/bridge-nf-call-{key}")
        if path.exists():
            path.write_text("0")
    for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        Path(f"/proc/sys/net/{key}").write_text("0")  # a new namespace copies the machine's
    sh("ip", "link", "set", "lo", "up")


def _end_all_but(own: int) -> None:
    """End what the scenario left behind: every other process of this mount namespace."""
    mine = os.readlink("/proc/self/ns/mnt")
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != own:
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/ns/mnt") == mine:
                    os.kill(int(entry), signal.SIGKILL)


def make_outside(*, ipv6: bool = False) -> None:
    """A network namespace ``outside`` on the other end of the host's eth0."""
    sh("ip", "netns", "add", "outside")
    sh("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", "outside")
    sh("ip", "addr", "add", f"{HOST}/24", "dev", "eth0")
    sh("ip", "link", "set", "eth0", "up")
    inside("outside", "ip", "addr", "add", f"{OUTSIDE}/24", "dev", "eth0")
    inside("outside", "ip", "link", "set", "eth0", "up")
    inside("outside", "ip", "link", "set", "lo", "up")
    sh("ip", "route", "add", "default", "via", OUTSIDE)
    if ipv6:
        sh("ip", "addr", "add", f"{HOST6}/64", "dev", "eth0", "nodad")
        inside("outside", "ip", "addr", "add", f"{OUTSIDE6}/64", "dev", "eth0", "nodad")
        sh("ip", "route", "add", "default", "via", OUTSIDE6)


def bridge(**changes: Any) -> Bridge:
    return Bridge(BridgeOptions(state_dir=STATE, run_dir=RUN, **changes), RealWorld())


def network(name: str = "blue", **changes: Any) -> Network:
    wanted: dict[str, Any] = {
        "name": name,
        "id": f"{name}0001",
        "kind": NetworkKind.NAT,
        "ipv4": "10.217.0.1/24",
        "ipv6": "fd12:3456:789a::1/64",
        "domain": "lodge",
        "mtu": 1450,
        "created_at": 0.0,
    }
    return Network(**{**wanted, **changes})


def lease(instance: str, number: int, **changes: Any) -> Lease:
    wanted: dict[str, Any] = {
        "network": "blue",
        "instance": instance,
        "nic": "eth0",
        "mac": f"52:54:00:00:00:{number:02x}",
        "ipv4": f"10.217.0.{number}",
        "ipv6": f"fd12:3456:789a:0:5054:ff:fe00:{number:x}",
    }
    return Lease(**{**wanted, **changes})


class Guest:
    """A namespace on a network's bridge that behaves like a guest with one card."""

    def __init__(self, of: Network, name: str, mac: str) -> None:
        self.name = f"g-{name}"
        router = Names.of(of.id).namespace
        sh("ip", "netns", "add", self.name)
        self("ip", "link", "set", "lo", "up")
        cable = ["type", "veth", "peer", "name", f"t-{name}", "netns", router]
        sh("ip", "link", "add", "eth0", "netns", self.name, "address", mac, *cable)
        inside(router, "ip", "link", "set", f"t-{name}", "master", BRIDGE, "up")
        self("ip", "link", "set", "eth0", "up")

    def __call__(self, *argv: str, check: bool = True) -> str:
        return inside(self.name, *argv, check=check)

    def ask_for_lease(self, *options: str) -> dict[str, str]:
        """Run a DHCP client; an empty answer means that nobody gave a lease."""
        folder = Path(tempfile.mkdtemp())
        script, told = folder / "script", folder / "lease"
        script.write_text(_LEASE_SCRIPT)
        script.chmod(0o755)
        client = ["busybox", "udhcpc", "-q", "-n", "-f", "-i", "eth0", "-t", "4", "-T", "1"]
        self("env", f"LEASE_FILE={told}", *client, "-s", str(script), *options, check=False)
        if not told.exists():
            return {}
        return dict(line.split("=", 1) for line in told.read_text().splitlines())

    def reaches(self, address: str) -> bool:
        return reaches(address, self.name)

    def lookup(self, name: str, server: str = "10.217.0.1") -> str:
        return self("busybox", "nslookup", name, server, check=False)


def reaches(address: str, namespace: str | None = None) -> bool:
    argv = ["ping", "-c", "1", "-W", "1", address]
    enter = [] if namespace is None else ["nsenter", f"--net=/run/netns/{namespace}"]
    return subprocess.run([*enter, *argv], capture_output=True, check=False).returncode == 0


def eventually(probe: Callable[[], Any], *, what: str, limit_s: float = 15.0) -> Any:
    deadline = time.monotonic() + limit_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit_s:g} s: {what}")
        time.sleep(0.05)


def traces() -> dict[str, str]:
    """Everything a network could leave on a host, as text."""
    return {
        "links": "\n".join(sorted(line.split()[0] for line in _lines("ip", "-br", "link"))),
        # Link-local ones come a moment after a link is up.
        "addresses": "\n".join(sorted(re.sub(r" fe80\S+", "", line)
                                      for line in _lines("ip", "-br", "addr"))),
        "routes": "\n".join(line.replace(" linkdown", "")
                            for line in _lines("ip", "route") + _lines("ip", "-6", "route")
                            if not line.startswith("fe80")),
        "rules": sh("nft", "list", "ruleset"),
        "namespaces": sh("ip", "netns", "list"),
        "mounts": "\n".join(line for line in _lines("cat", "/proc/self/mounts") if "nsfs" in line),
        "files": "\n".join(str(p) for p in sorted(STATE.rglob("*")) + sorted(RUN.rglob("*"))
                           if not p.is_dir()),
        "processes": "\n".join(_commands("dnsmasq")),
        "forwarding": "".join(
            Path(f"/proc/sys/net/{name}").read_text()
            for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
        ),
    }  # fmt: skip


def _lines(*argv: str) -> list[str]:
    return sh(*argv).splitlines()


def _commands(program: str) -> Iterator[str]:
    mine = os.readlink("/proc/self/ns/mnt")
    for entry in sorted(os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if entry.isdigit() and os.readlink(f"/proc/{entry}/ns/mnt") == mine:
                words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
                if words[0].endswith(program.encode()):
                    yield b" ".join(words).decode()

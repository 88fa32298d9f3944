"""Promise 3: 100 small VMs started until all run, beside bare QEMUs with the same command lines.

The VMs have 48 MB, a NIC and an empty disk: their firmware finds nothing to boot and waits, so
that the guests' own work does not hide the cost of starting. Lodge is asked for all of them at
once over 16 connections; the bare script starts as many with 16 threads.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.bare_qemu import BareQemu
from bench.command_lines import command_line_of
from bench.figure import Figure, ratio
from bench.host import (
    Api,
    SimulatedHost,
    bench_host,
    milliseconds_since,
    same_share_as_guests,
)

__all__ = ["measure"]

_COUNT = 100
_AT_ONCE = 16
_NAMES = [f"small{number:03}" for number in range(_COUNT)]
_VM: dict[str, Any] = {
    "memory_mib": 48,
    "disk_bytes": 1 << 20,
    "boot": {"firmware": "bios"},
    "starts": False,
}


def measure(runs: int) -> list[Figure]:
    """Start and stop all of them in every round, by each peer."""
    ours, theirs = [], []
    with bench_host() as host:
        apis = [Api(host) for _ in range(_AT_ONCE)]
        _all(apis, "POST", "/instances", {name: {"name": name, **_VM} for name in _NAMES})
        apis[0].task("POST", f"/instances/{_NAMES[0]}/start")
        apis[0].task("POST", f"/instances/{_NAMES[0]}/stop")
        bare = BareQemu(host.command())
        argvs = _command_lines(host, apis)
        with same_share_as_guests(host, bare.pid):
            for _ in range(runs):
                ours.append(_all(apis, "POST", "/instances/{}/start"))
                _all(apis, "POST", "/instances/{}/stop")
                theirs.append(bare.ask("start", *argvs))
                bare.ask("stop", *argvs)
            bare.close()
    return [
        Figure(3, f"{_COUNT} small VMs: Lodge's API", "s", [ms / 1000 for ms in ours]),
        Figure(3, f"{_COUNT} small VMs: bare QEMU", "s", [ms / 1000 for ms in theirs]),
        ratio(3, f"{_COUNT} small VMs: Lodge / bare", ours, theirs, 1.3),
    ]


def _command_lines(host: SimulatedHost, apis: list[Api]) -> list[list[str]]:
    _all(apis, "POST", "/instances/{}/start")
    argvs = [command_line_of(host, name) for name in _NAMES]
    _all(apis, "POST", "/instances/{}/stop")
    return argvs


def _all(
    apis: list[Api], method: str, path: str, bodies: dict[str, dict[str, Any]] | None = None
) -> float:
    """Do the same to every VM, as many at once as there are connections."""
    todo = list(reversed(_NAMES))

    def work(api: Api) -> None:
        while todo:
            name = todo.pop()
            api.task(method, path.format(name), None if bodies is None else bodies[name])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        begun = time.perf_counter()
        list(pool.map(work, apis))
        return milliseconds_since(begun)

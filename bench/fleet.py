"""A host whose daemon knows many instances (fake driver), and what its process uses."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.host import Api, SimulatedHost, bench_host

__all__ = ["cpu_seconds", "daemon_pid", "fleet", "resident_mib"]

_AT_ONCE = 16


@contextmanager
def fleet(count: int) -> Iterator[SimulatedHost]:
    """Give a host with so many instances; every second one runs."""
    with bench_host(driver="fake", settings={"default_network_ipv4": "10.90.0.1/16"}) as host:
        todo = list(range(count))

        def work(api: Api) -> None:
            while todo:
                number = todo.pop()
                body = {
                    "name": f"web{number:05}",
                    "memory_mib": 64,
                    "disk_bytes": 1 << 20,
                    "starts": number % 2 == 0,
                }
                api.task("POST", "/instances", body)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(work, [Api(host) for _ in range(_AT_ONCE)]))
        yield host


def daemon_pid(host: SimulatedHost) -> int:
    """The daemon's process (``nsenter`` becomes it)."""
    assert host.daemon is not None
    return host.daemon.pid


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, to the nanosecond (proc(5), schedstat)."""
    tasks = Path(f"/proc/{pid}/task")
    return (
        sum(
            int((tasks / thread / "schedstat").read_text().split()[0])
            for thread in os.listdir(tasks)
        )
        / 1e9
    )


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no memory")

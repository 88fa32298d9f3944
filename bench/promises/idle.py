"""Promise 14: a daemon that knows 1,000 instances: memory, CPU while idle, time until ready.

Fake driver, every second instance runs. Ready: from the start of the program until the API answers
a list of all of them. Idle: CPU time of all threads over windows of 3 s, 21 s in all, beginning
5 s after the start; memory is read at the end of each window.
"""

import time

from bench.figure import Figure
from bench.fleet import cpu_seconds, daemon_pid, fleet, resident_mib
from bench.host import Api, SimulatedHost, milliseconds_since

__all__ = ["measure", "measure_count"]

_WINDOW_S = 3.0
_SETTLE_S = 5.0
_POLL_S = 0.01


def measure(runs: int) -> list[Figure]:
    """Measure with 1,000 instances."""
    return measure_count(runs, 1000, promised=(2.0, 150.0, 1.0))


def measure_count(
    runs: int, count: int, promised: tuple[float, float, float] | None = None
) -> list[Figure]:
    """Start again in rounds, then watch the last daemon do nothing."""
    ready, memory, load = [], [], []
    ready_s, memory_mib, load_percent = promised or (None, None, None)
    with fleet(count) as host:
        for _ in range(runs):
            host.stop_daemon()
            ready.append(_start(host, count) / 1000)
        pid = daemon_pid(host)
        time.sleep(_SETTLE_S)
        for _ in range(runs):
            cpu = cpu_seconds(pid)
            time.sleep(_WINDOW_S)
            load.append((cpu_seconds(pid) - cpu) / _WINDOW_S * 100)
            memory.append(resident_mib(pid))
    return [
        Figure(14, f"{count} instances: ready after", "s", ready, ready_s),
        Figure(14, f"{count} instances: resident memory", "MiB", memory, memory_mib),
        Figure(14, f"{count} instances: CPU while idle", "% core", load, load_percent),
    ]


def _start(host: SimulatedHost, count: int) -> float:
    begun = time.perf_counter()
    host.start(waits=False)
    while True:
        try:
            if Api(host).call("GET", "/instances?limit=1")["total"] == count:
                return milliseconds_since(begun)
        except OSError:
            time.sleep(_POLL_S)

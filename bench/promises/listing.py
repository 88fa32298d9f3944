"""Promise 12: list 1,000 instances through the API, all in one answer.

The client is another process and asks over one kept connection; a round is 100 requests, its time
the median of them. Requests per second of one core are counted by the CPU time of the daemon, so
that the client's share of the machine does not matter.
"""

import statistics
import time

from bench.figure import Figure
from bench.fleet import cpu_seconds, daemon_pid, fleet
from bench.host import Api, milliseconds_since

__all__ = ["measure"]

_COUNT = 1000
_REQUESTS = 100


def measure(runs: int) -> list[Figure]:
    """Ask in rounds."""
    times, rates = [], []
    with fleet(_COUNT) as host:
        api, pid = Api(host), daemon_pid(host)
        path = f"/instances?limit={_COUNT}"
        assert len(api.call("GET", path)["items"]) == _COUNT
        for _ in range(runs):
            cpu = cpu_seconds(pid)
            times.append(statistics.median(_ask(api, path) for _ in range(_REQUESTS)))
            rates.append(_REQUESTS / (cpu_seconds(pid) - cpu))
    return [
        Figure(12, f"list {_COUNT} instances: p50", "ms", times, 10),
        Figure(12, "requests of one daemon core", "1/s", rates, 200, is_floor=True),
    ]


def _ask(api: Api, path: str) -> float:
    begun = time.perf_counter()
    api.raw("GET", path)
    return milliseconds_since(begun)

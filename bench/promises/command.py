"""Promise 13: ``lodge list`` as a command, beside a bare Python, a C program and ``virsh list``.

Wall time from fork to exit, output into a pipe. The host has 20 instances (fake driver). The
command is measured as it is installed; ``python3 -c pass`` is what no Python program can beat.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figure import Figure, ratio
from bench.fleet import fleet
from bench.host import milliseconds_since

__all__ = ["measure"]

_COUNT = 20
_REPEATS = 5


def measure(runs: int) -> list[Figure]:
    """Run each command in turn; a round's time is the least of five (the rest is others' work)."""
    lodge = Path(sys.executable).with_name("lodge")
    with fleet(_COUNT) as host:
        socket = f"/proc/{host.holder.pid}/root{host.run_dir}/lodged.sock"
        commands: dict[str, Sequence[str]] = {
            "lodge": [str(lodge), "list", "--socket", socket],
            "python": [sys.executable, "-c", "pass"],
            "c": ["/bin/true"],
        }
        series: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, argv in commands.items():
                series[name].append(min(_time(argv) for _ in range(_REPEATS)))
    return [
        Figure(13, "lodge list", "ms", series["lodge"], 60),
        Figure(13, "python3 -c pass", "ms", series["python"]),
        Figure(13, "a C program (true)", "ms", series["c"]),
        ratio(13, "lodge list / python3 -c pass", series["lodge"], series["python"], None),
    ]


def _time(argv: Sequence[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    return milliseconds_since(begun)

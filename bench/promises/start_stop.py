"""Promises 1 and 2: start and hard stop of a defined VM of 256 MB, beside bare QEMU and virsh.

In every round each peer starts and stops once: Lodge through its API (request until the answer
that the task is done: its vCPUs run, or it is gone), a bare script with the command line that
Lodge rendered (its QMP socket answers ``cont``, or its process is gone after ``quit``), and
``virsh start`` / ``virsh destroy`` of a domain with the same machine, kernel, disk and bridge,
where libvirt is installed. The guest is the tiny image; stopping comes before it has booted.
Before each start the machine gets 0.2 s of rest: the kernel goes on taking apart what ended, and
nobody shall pay for the one before.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.bare_qemu import BareQemu
from bench.command_lines import command_line_of
from bench.figure import Figure, ratio
from bench.host import Api, SimulatedHost, bench_host, same_share_as_guests
from bench.virsh import Virsh

__all__ = ["measure"]

_VM = {"name": "vm", "image": "tiny", "memory_mib": 256, "cpus": 1, "starts": False}
_Series = dict[str, list[float]]
_VERBS = ("start", "stop")
_PATHS = tuple(f"/instances/vm/{verb}" for verb in _VERBS)
_REST_S = 0.2


def measure(runs: int) -> list[Figure]:
    """Run all rounds on one host."""
    with bench_host(images=["tiny"]) as host:
        api = Api(host)
        api.task("POST", "/instances", _VM)
        api.task("POST", "/instances/vm/start")  # finds out what this host's KVM is worth
        argv = command_line_of(host, "vm")
        api.task("POST", "/instances/vm/stop")
        with _peers(host, argv) as (bare, virsh):
            starts, stops = _rounds(runs, api, bare, argv, virsh)
    return _figures(starts, stops)


@contextmanager
def _peers(host: SimulatedHost, argv: list[str]) -> Iterator[tuple[BareQemu, Virsh | None]]:
    bare = BareQemu(host.command())
    virsh = Virsh.on(host, argv)
    try:
        with same_share_as_guests(host, bare.pid):
            yield bare, virsh
            bare.close()
    finally:
        if virsh is not None:
            virsh.close()


def _rounds(
    runs: int, api: Api, bare: BareQemu, argv: list[str], virsh: Virsh | None
) -> tuple[_Series, _Series]:
    starts: _Series = {"lodge": [], "bare": [], "virsh": []}
    stops: _Series = {"lodge": [], "bare": [], "virsh": []}
    for number in range(runs + 1):
        found = {
            "lodge": _rested(
                lambda: [api.timed_task("POST", f"/instances/vm/{v}") for v in _VERBS]
            ),
            "bare": _rested(lambda: [bare.ask(verb, argv) for verb in _VERBS]),
        }
        if virsh is not None:
            found["virsh"] = _rested(lambda: [virsh.timed(verb) for verb in ("start", "destroy")])
        if number:  # the first round warms caches up
            for peer, (start, stop) in found.items():
                starts[peer].append(start)
                stops[peer].append(stop)
    return starts, stops


def _rested(measured: Callable[[], list[float]]) -> list[float]:
    time.sleep(_REST_S)
    return measured()


def _figures(starts: _Series, stops: _Series) -> list[Figure]:
    figures = [
        Figure(1, "start: Lodge's API", "ms", starts["lodge"]),
        Figure(1, "start: bare QEMU", "ms", starts["bare"]),
        ratio(1, "start: Lodge / bare", starts["lodge"], starts["bare"], 1.6),
    ]
    if starts["virsh"]:
        figures += [
            Figure(1, "start: virsh start", "ms", starts["virsh"]),
            ratio(1, "start: Lodge / virsh", starts["lodge"], starts["virsh"], 0.25),
        ]
    figures += [
        Figure(2, "stop: Lodge's API", "ms", stops["lodge"], 40),
        Figure(2, "stop: bare QEMU", "ms", stops["bare"]),
    ]
    if stops["virsh"]:
        figures.append(Figure(2, "stop: virsh destroy", "ms", stops["virsh"]))
    return figures

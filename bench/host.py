"""A simulated host (tests/lab) with a daemon, and a plain client of its API.

The client is plain on purpose: what Lodge's own client costs is measured by the command's promise.
"""

import asyncio
import http.client
import json
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "lab"))

from simulated_host import SimulatedHost, wait_for
from stock import stock

from lodge.base.world import RealWorld
from lodge.system.cgroup import clear, open_cgroups

__all__ = [
    "Api",
    "SimulatedHost",
    "bench_host",
    "milliseconds_since",
    "same_share_as_guests",
    "wait_for",
]

_TASK_LIMIT_S = 300


def milliseconds_since(begun: float) -> float:
    """Time since a reading of ``time.perf_counter``."""
    return (time.perf_counter() - begun) * 1000


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("lodge", timeout=_TASK_LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class Api:
    """One kept connection to a host's unix socket, reached through its mount namespace."""

    def __init__(self, host: SimulatedHost) -> None:
        self._connection = _Connection(
            Path(f"/proc/{host.holder.pid}/root{host.run_dir}/lodged.sock")
        )

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request below ``/v1`` and return its JSON; an error answer is raised."""
        answer = self.raw(method, path, body)
        return json.loads(answer)

    def raw(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """Send one request and return the body's bytes."""
        data = None if body is None else json.dumps(body)
        headers = {"content-type": "application/json"} if data else {}
        self._connection.request(method, f"/v1{path}", data, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:2000]!r}")
        return content

    def task(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask for a task and return it once it is done."""
        joint = "&" if "?" in path else "?"
        task = self.call(method, f"{path}{joint}wait={_TASK_LIMIT_S}", body)["task"]
        if task["state"] != "done":
            raise RuntimeError(f"{method} {path}: {task['error']}")
        return task

    def timed_task(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> float:
        """Milliseconds from the request to the answer that the task is done."""
        begun = time.perf_counter()
        self.task(method, path, body)
        return milliseconds_since(begun)


@contextmanager
def same_share_as_guests(host: SimulatedHost, pid: int) -> Iterator[None]:
    """Give a peer's process, and what it starts, a control group beside those of the guests.

    Without it a busy machine gives a peer's many processes more time than the one group that all
    of Lodge's guests are in.
    """
    groups = open_cgroups(prefix=host.name)
    groups.create("peer")
    groups.add("peer", pid)
    try:
        yield
    finally:
        asyncio.run(clear(groups, "peer", RealWorld()))


@contextmanager
def bench_host(
    *, driver: str = "qemu", images: Sequence[str] = (), settings: Mapping[str, str] = {}
) -> Iterator[SimulatedHost]:
    """Give a host with a running daemon that has these images; everything of it ends after."""
    host = SimulatedHost(driver=driver, settings=settings)
    try:
        stock(host.state, *images)
        host.start()
        yield host
    finally:
        host.close()

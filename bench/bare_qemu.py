"""The peer "raw QEMU": a bare script that starts a given command line over QMP, and ends it.

Run inside a host's namespaces it takes one JSON request per line and answers with milliseconds, so
that nothing but the script's own work is measured. It does what no script can leave out: a folder
for the sockets, a tap for each nic, the process, the monitor's greeting, ``cont``.

Run: ``python bare_qemu.py`` (standard library only); see ``BareQemu`` for the other side.
"""

import fcntl
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any

__all__ = ["BareQemu"]

_TUNSETIFF = 0x400454CA
_TAP_FLAGS = 0x0002 | 0x1000 | 0x4000  # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR (linux/if_tun.h)
_POLL_S = 0.001


class BareQemu:
    """The caller's side: one script inside a simulated host."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [*command, sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The script's process (``nsenter`` becomes it)."""
        return self._process.pid

    def ask(self, what: str, *argvs: list[str]) -> float:
        """``start`` or ``stop`` all command lines, 16 at once; milliseconds until all are."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([what, argvs]), file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the script."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class _Guest:
    def __init__(self, argv: list[str], number: int) -> None:
        self._argv, self._fds = _with_taps(argv, number)
        found = re.search(r"id=qmp,path=([^,]+)", " ".join(argv))
        assert found is not None
        self._qmp = Path(found[1])

    def start(self) -> None:
        self._qmp.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=self._fds,
        )
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(str(self._qmp))
                break
            except OSError:
                assert self._process.poll() is None, "QEMU ended at once"
                time.sleep(_POLL_S)
        self._lines: IO[str] = self._socket.makefile()
        self._lines.readline()
        self._execute("qmp_capabilities")
        self._execute("cont")

    def stop(self) -> None:
        self._execute("quit")
        self._process.wait()
        self._socket.close()
        for handle in self._fds:
            os.close(handle)

    def _execute(self, command: str) -> None:
        self._socket.sendall(json.dumps({"execute": command}).encode())
        while "return" not in json.loads(self._lines.readline()):
            pass


def _with_taps(argv: list[str], number: int) -> tuple[list[str], list[int]]:
    """Give each nic's ``fd=N`` a tap of our own."""
    opened: list[int] = []

    def tap(_match: re.Match[str]) -> str:
        handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        name = f"bare{number}n{len(opened)}".encode()
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", name, _TAP_FLAGS))
        opened.append(handle)
        return f",fd={handle}"

    return [re.sub(r",fd=\d+", tap, word) for word in argv], opened


def _serve() -> None:
    running: dict[str, _Guest] = {}
    for line in sys.stdin:
        what, argvs = json.loads(line)
        with ThreadPoolExecutor(16) as pool:
            begun = time.perf_counter()
            list(pool.map(partial(_do, running, what), range(len(argvs)), argvs))
            spent = (time.perf_counter() - begun) * 1000
        print(spent, flush=True)


def _do(running: dict[str, Any], what: str, number: int, argv: list[str]) -> None:
    key = " ".join(argv)
    if what == "start":
        running[key] = _Guest(argv, number)
        running[key].start()
    else:
        running.pop(key).stop()


if __name__ == "__main__":
    _serve()

"""Take the command lines of running guests, to run the very same ones without Lodge."""

import os
from pathlib import Path

from bench.host import SimulatedHost

__all__ = ["command_line_of"]


def command_line_of(host: SimulatedHost, name: str) -> list[str]:
    """Return the words that run an instance of this host now."""
    state = os.fsencode(host.state)
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
        except (OSError, ValueError):
            continue
        is_named = f"guest={name},debug-threads=on".encode() in words
        if is_named and any(state in word for word in words):
            return [os.fsdecode(word) for word in words]
    raise RuntimeError(f"no QEMU runs {name!r}")

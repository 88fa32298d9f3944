"""``lodge screenshot`` and ``lodge logs``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lodge.cli.commands.files import save
from lodge.cli.errors import UsageError
from lodge.cli.parser import Command

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS", "added", "harmless", "last_lines"]

LINE_BYTES = 400
"""Room for one line when lines are asked for: the API counts in bytes."""
LOOK_S = 1.0
MOST_LINES = 40_000
MOST_BYTES = 16 << 20
"""What the API gives of a log at once; older lines stay on the host."""


def last_lines(data: bytes, count: int) -> bytes:
    r"""Return the last lines of a text, whole ones.

    >>> last_lines(b"a\nb\nc\n", 2)
    b'b\nc\n'
    """
    return b"".join(data.splitlines(keepends=True)[-count:]) if count else b""


def _add_screenshot(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which instance")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="PNG file; - is standard output (NAME.png)"
    )


def _screenshot(invocation: Invocation, args: Namespace) -> int:
    if args.output == "-" and sys.stdout.isatty():
        raise UsageError("a picture on a terminal helps nobody", hint="use -o FILE, or a pipe")
    picture = invocation.client.instances.screenshot(args.name)
    if args.output == "-":
        sys.stdout.buffer.write(picture)
        sys.stdout.buffer.flush()
        return 0
    target = Path(args.output or f"{args.name}.png")
    save([picture], target)
    invocation.say(str(target))
    return 0


def _add_logs(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which instance")
    parser.add_argument(
        "--qemu", action="store_true", help="what QEMU said, not what the guest printed"
    )
    parser.add_argument("--tail", type=int, metavar="LINES", help="only the last lines")
    parser.add_argument("--follow", "-f", action="store_true", help="go on as it grows")


def _logs(invocation: Invocation, args: Namespace) -> int:
    if args.tail is not None and not 0 <= args.tail <= MOST_LINES:
        raise UsageError(f"--tail takes 0 to {MOST_LINES} lines", where="--tail")
    log = "qemu" if args.qemu else "serial"
    instances = invocation.client.instances
    if args.tail is None and not args.follow:
        for piece in instances.log(args.name, log, tail_bytes=MOST_BYTES):
            _write(piece)
        return 0
    tail_bytes = MOST_BYTES if args.tail is None else min(MOST_BYTES, (args.tail + 1) * LINE_BYTES)
    data = b"".join(instances.log(args.name, log, tail_bytes=tail_bytes))
    _write(data if args.tail is None else last_lines(data, args.tail))
    if args.follow:
        _follow(invocation, args.name, log)
    return 0


def _write(piece: bytes) -> None:
    """Write a piece as it is into a pipe or file, and what does no harm on a terminal."""
    sys.stdout.buffer.write(harmless(piece) if sys.stdout.isatty() else piece)
    sys.stdout.buffer.flush()


def harmless(data: bytes) -> bytes:
    r"""Take escape sequences and control characters out: what a guest prints is not to be trusted.

    >>> harmless(b"\x1b[31mred\x1b[0m\r\n\x07")
    b'red\n'
    """
    import re

    text = re.sub(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", b"", data)
    return re.sub(rb"[\x00-\x08\x0b-\x1f\x7f]", b"", text)


def _follow(invocation: Invocation, name: str, log: str) -> None:
    """Print what is added, found by where the end seen before stands now."""
    window = 1 << 16
    seen = b"".join(invocation.client.instances.log(name, log, tail_bytes=window))
    while True:
        time.sleep(LOOK_S)
        now = b"".join(invocation.client.instances.log(name, log, tail_bytes=window))
        if now != seen:
            _write(added(seen, now))
            seen = now


def added(before: bytes, now: bytes) -> bytes:
    r"""Return what a log gained between two looks at its end.

    >>> added(b"one\ntwo\n", b"two\nthree\n")
    b'three\n'
    """
    if now.startswith(before):
        return now[len(before) :]
    for size in (4096, 512, 64):
        mark = before[-size:]
        place = now.rfind(mark) if mark else -1
        if place >= 0:
            return now[place + len(mark) :]
    overlap = min(len(before), len(now))
    while overlap and not now.startswith(before[-overlap:]):
        overlap -= 1
    return now[overlap:]


COMMANDS = (
    Command(
        "screenshot",
        "Save a picture of the screen",
        _add_screenshot,
        _screenshot,
        ("lodge screenshot web1", "lodge screenshot web1 -o - | display"),
    ),
    Command(
        "logs",
        "Print the serial log or the log of QEMU",
        _add_logs,
        _logs,
        ("lodge logs web1 --tail 50", "lodge logs web1 --follow", "lodge logs web1 --qemu"),
    ),
)

"""``lodge console``: the serial console on this terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lodge.cli.parser import Command

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]


def _add(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which instance")


def _run(invocation: Invocation, args: Namespace) -> int:
    from lodge.cli.terminal import attach
    from lodge.client.nonblocking import AsyncClient

    client = AsyncClient(invocation.address)
    if sys.stdin.isatty():
        invocation.tell(f"Connected to {args.name}; leave with Ctrl-].")
    how = attach(client, args.name)
    if sys.stdin.isatty():
        invocation.tell(f"\r\n{how}")
    return 0


COMMANDS = (
    Command(
        "console",
        "Connect to the serial console",
        _add,
        _run,
        ("lodge console web1",),
        "Connect this terminal to the serial console of an instance. Leave with Ctrl-].\n"
        "Several people may be connected at once; all see and type the same.",
    ),
)

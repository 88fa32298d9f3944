"""``lodge exec``: a command in the guest, its streams and its status passed through."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, BinaryIO

from lodge.cli.errors import UsageError
from lodge.cli.parser import Command

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser
    from lodge.client.exec_frames import Outcome
    from lodge.model.requests import ExecRequest

__all__ = ["COMMANDS"]

KILLED_BASE = 128
"""A command killed by signal N ends with 128 + N, as in a shell (POSIX 2.8.2)."""


def _add(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which instance")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="environment; repeat"
    )
    parser.add_argument(
        "--timeout", type=float, default=3600.0, metavar="SECONDS", help="stop waiting (3600)"
    )
    parser.add_argument("--no-stdin", "-n", action="store_true", help="give the command no input")
    parser.add_argument(
        "command", metavar="-- COMMAND...", nargs="...", help="what to run, and its arguments"
    )


def _request(args: Namespace) -> ExecRequest:
    from lodge.model.requests import ExecRequest

    words = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not words:
        raise UsageError("no command given", hint=f"as in: lodge exec {args.name} -- uname -a")
    environment = {}
    for pair in args.env:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise UsageError(f"{pair!r} is not NAME=VALUE", where="--env")
        environment[name] = text
    return ExecRequest(command=tuple(words), environment=environment, timeout_s=args.timeout)


def _stdin(args: Namespace) -> Iterator[bytes]:
    """Yield what is piped in; a terminal is not read: nobody would know that it is waited for."""
    if args.no_stdin or sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return
    while piece := os.read(sys.stdin.fileno(), 1 << 16):
        yield piece


def _run(invocation: Invocation, args: Namespace) -> int:
    from lodge.client.errors import StreamEndedError
    from lodge.client.exec_frames import ExecStream, Outcome, opening_messages, read_message

    request = _request(args)
    outputs: dict[ExecStream, BinaryIO] = {
        ExecStream.STDOUT: sys.stdout.buffer,
        ExecStream.STDERR: sys.stderr.buffer,
    }
    with invocation.client.instances.open_exec(args.name) as channel:
        for message in opening_messages(request, _stdin(args)):
            channel.send(message)
        for message in channel:
            piece = read_message(message)
            if isinstance(piece, Outcome):
                return _status(invocation, piece)
            output = outputs[piece[0]]
            output.write(piece[1])
            output.flush()
    raise StreamEndedError(
        "the connection ended before the command did; perhaps it still runs in the guest"
    )


def _status(invocation: Invocation, outcome: Outcome) -> int:
    if outcome.is_truncated:
        invocation.tell(
            "warning: the output was longer than the guest agent keeps; its end is missing"
        )
    if outcome.signal is not None:
        return KILLED_BASE + outcome.signal
    return outcome.exit_status or 0


COMMANDS = (
    Command(
        "exec",
        "Run a command inside an instance",
        _add,
        _run,
        (
            "lodge exec web1 -- uname -a",
            "lodge exec web1 -- sh -c 'systemctl is-active nginx'",
            "tar c site | lodge exec web1 -- tar x -C /var/www",
        ),
        "Run a command inside an instance through its guest agent. Standard output and standard\n"
        "error stay apart, standard input is passed on when it is not a terminal, and the exit\n"
        "status is that of the command (128 + N when signal N killed it).",
    ),
)

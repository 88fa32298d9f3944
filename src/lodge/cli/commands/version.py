"""``lodge version``: of this command and of the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lodge.base.errors import LodgeError
from lodge.cli.parser import Command

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]


def _add(parser: Parser) -> None:
    parser.add_argument(
        "--client", action="store_true", help="only this command's, without asking the daemon"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form (text)")


def _run(invocation: Invocation, args: Namespace) -> int:
    from importlib.metadata import version

    versions = {"lodge": version("lodge")}
    failure: LodgeError | None = None
    if not args.client:
        try:
            answer = invocation.client.hosts.versions()
            versions |= {"lodged": answer["lodge_version"], "api": answer["api_version"]}
        except LodgeError as error:
            failure = error
    if args.format == "json":
        from lodge.cli.formats import to_json

        invocation.say(to_json(versions))
    else:
        invocation.say("\n".join(f"{name:<8}{text}" for name, text in versions.items()))
    if failure is not None:
        raise failure
    return 0


COMMANDS = (
    Command(
        "version",
        "Show the versions of command and daemon",
        _add,
        _run,
        ("lodge version",),
        "Show the versions of command and daemon. Fails with status 6 when the daemon is away.",
    ),
)

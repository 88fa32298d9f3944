"""Ask before data is destroyed; where nobody can be asked, ``--yes`` must have been said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lodge.cli.errors import AbortedError

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["add_yes_option", "confirm"]


def add_yes_option(parser: Parser) -> None:
    """Add ``--yes``."""
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


def confirm(invocation: Invocation, args: Namespace, question: str) -> None:
    """Go on only after ``--yes`` or a person's yes.

    Raises:
        AbortedError: neither was given; nothing was done.
    """
    if args.yes:
        return
    if not invocation.is_interactive:
        raise AbortedError(
            "nothing was deleted: there is no terminal to ask on",
            hint="add --yes to delete without a question",
        )
    if not invocation.ask(question):
        raise AbortedError("nothing was deleted", hint="answer y, or add --yes")

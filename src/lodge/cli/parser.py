"""The argument parser: the standard one, with plain errors, examples and no guessing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from lodge.cli.errors import UsageError

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation

__all__ = ["Command", "Parser", "add_global_options", "make_parser", "nearest"]

HELP_COLUMNS = 100


class Command(NamedTuple):
    """One command: its words, what it takes, what it does."""

    name: str
    summary: str
    add: Callable[[Parser], None]
    run: Callable[[Invocation, Namespace], int]
    examples: tuple[str, ...] = ()
    description: str = ""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help with a fixed width: asking for the terminal's costs an import at each start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30, width=HELP_COLUMNS)


class Parser(argparse.ArgumentParser):
    """Raises ``UsageError`` instead of ending the program; never accepts abbreviations."""

    def __init__(self, prog: str, *, description: str = "", epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Refuse, with where to read more."""
        raise UsageError(message, hint=f"see: {self.prog} --help")

    def parse_all(self, words: Sequence[str]) -> Namespace:
        """Parse, and say which option was perhaps meant by an unknown one."""
        args, unknown = self.parse_known_args(_joined(words))
        if unknown:
            guess = nearest(unknown[0].partition("=")[0], list(self._option_string_actions))
            more = f"did you mean {guess}?" if guess else f"see: {self.prog} --help"
            raise UsageError(f"unknown argument {unknown[0]!r}", hint=more)
        return args


def _joined(words: Sequence[str]) -> list[str]:
    """Join ``--sort -name`` to one word: argparse would take ``-name`` for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--sort":
            joined[-1] = f"--sort={word}"
        else:
            joined.append(word)
    return joined


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Return the known word that looks most like this one, if any does."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, known, n=1, cutoff=0.6)), None)


def make_parser(command: Command) -> Parser:
    """Build the parser of one command, options for all commands included."""
    epilog = ""
    if command.examples:
        epilog = "examples:\n" + "\n".join(f"  {example}" for example in command.examples)
    text = command.description or f"{command.summary}."
    parser = Parser(f"lodge {command.name}", description=text, epilog=epilog)
    command.add(parser)
    add_global_options(parser)
    return parser


def add_global_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes."""
    every = parser.add_argument_group("options of every command")
    every.add_argument("--host", metavar="REMOTE", help="ask a remote daemon (lodge remote add)")
    every.add_argument("--socket", metavar="PATH", help="ask the daemon at this unix socket")
    every.add_argument(
        "--color", choices=("auto", "always", "never"), default="auto", help="colours (auto)"
    )

"""The entry point of ``lodge``: find the command, run it, tell failures, end with a status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from lodge.base.errors import LodgeError
from lodge.cli.errors import UsageError
from lodge.cli.index import ENTRIES, SYNONYMS
from lodge.cli.parser import Command, make_parser, nearest

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation

    Begin = Callable[[Namespace], Invocation]

__all__ = ["entry", "find_command", "main", "run"]

_WITH_VALUE = ("--host", "--socket", "--color", "--format")


def main(words: Sequence[str] | None = None, *, begin: Begin | None = None) -> int:
    """Run one command and return its exit status; never raises."""
    given = list(sys.argv[1:] if words is None else words)
    try:
        status = run(given, begin=begin)
        sys.stdout.flush()
        return status
    except LodgeError as error:
        return _fail(error, given)
    except SystemExit as end:  # argparse has printed a help
        return int(end.code or 0)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        return _leave_pipe()
    except Exception as error:  # the edge: a bug is told like any other failure
        return _confess(error)


def entry() -> NoReturn:
    """Run the command of the command line and end at once.

    Taking the interpreter apart would cost 4 ms, a tenth of a short command.
    """
    import os

    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def run(words: Sequence[str], *, begin: Begin | None = None) -> int:
    """Run one command; ``begin`` makes its surroundings when they are not the real ones.

    Raises:
        LodgeError: it failed.
    """
    if not words or words[0] in ("-h", "--help", "help"):
        from lodge.cli.overview import overview

        print(overview(words[1:]))
        return 0 if words else 2
    if words == ["--version"]:
        words = ["version"]
    command, rest = find_command(words)
    args = make_parser(command).parse_all(rest) if rest is not None else None
    if args is None:
        from lodge.cli.overview import group_overview

        print(group_overview(command.name))
        return 0 if {"-h", "--help"} & set(words) else 2
    from lodge.cli.invocation import Invocation

    return _with_guesses(command, (begin or Invocation)(args), args)


def find_command(words: Sequence[str]) -> tuple[Command, list[str] | None]:
    """Split the words into a command and what belongs to it; null: a group without its verb.

    Raises:
        UsageError: there is no such command.
    """
    place = _first_word(words, 0)
    word = words[place] if place < len(words) else ""
    entry = ENTRIES.get(word)
    if entry is None:
        raise _unknown(word, list(ENTRIES), "lodge")
    from importlib import import_module

    module = import_module(f"lodge.cli.commands.{entry.module}")
    commands: dict[str, Command] = {command.name: command for command in module.COMMANDS}
    rest = [*words[:place], *words[place + 1 :]]
    if word in commands:
        return commands[word], rest
    second = _first_word(rest, place)
    if second >= len(rest) or rest[second] in ("-h", "--help"):
        return Command(word, entry.summary, _nothing, _never), None
    name = f"{word} {rest[second]}"
    if name not in commands:
        verbs = [known.partition(" ")[2] for known in commands if known.startswith(f"{word} ")]
        raise _unknown(rest[second], verbs, f"lodge {word}")
    return commands[name], [*rest[:second], *rest[second + 1 :]]


def _first_word(words: Sequence[str], place: int) -> int:
    """Skip options of every command that stand before a word."""
    while place < len(words) and words[place].startswith("-"):
        if words[place] in ("-h", "--help"):
            return place
        place += 2 if words[place] in _WITH_VALUE else 1
    return place


def _unknown(word: str, known: Sequence[str], prog: str) -> UsageError:
    synonym = SYNONYMS.get(word)
    guess = synonym if synonym in known else nearest(word, known)
    hint = f"did you mean: {prog} {guess}?" if guess else f"see: {prog} --help"
    said = f"there is no command {prog} {word}" if word else "no command given"
    return UsageError(said, hint=hint)


def _nothing(_parser: object) -> None:
    """A group takes nothing by itself."""


def _never(_invocation: object, _args: object) -> int:
    return 2


def _with_guesses(command: Command, invocation: Invocation, args: Namespace) -> int:
    from lodge.base.errors import NotFoundError

    try:
        return command.run(invocation, args)
    except NotFoundError as error:
        from lodge.cli.guesses import with_guess

        raise with_guess(invocation, command, error) from error


def _fail(error: LodgeError, words: Sequence[str]) -> int:
    from lodge.cli.errors import PartlyFailedError
    from lodge.cli.failures import describe, exit_status, failure_text

    sys.stdout.flush()
    if isinstance(error, PartlyFailedError):
        return exit_status(error)
    own = words[: words.index("--")] if "--" in words else words
    is_json = "--format=json" in own or "--format json" in " ".join(own)
    print(describe(error) if is_json else failure_text(error), file=sys.stderr)
    return exit_status(error)


def _leave_pipe() -> int:
    import os

    # Python flushes standard output at its end once more: give it somewhere to go.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _confess(error: Exception) -> int:
    import os
    import traceback

    if os.environ.get("LODGE_DEBUG"):
        traceback.print_exc()
    print(f"error: a bug in lodge: {type(error).__name__}: {error}", file=sys.stderr)
    print("hint: run it again with LODGE_DEBUG=1 and report what it prints", file=sys.stderr)
    return 1

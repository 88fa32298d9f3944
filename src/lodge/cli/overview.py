"""Help above single commands: all of them by heading, or those of one group."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from lodge.cli.errors import UsageError
from lodge.cli.index import ENTRIES
from lodge.cli.parser import Command, make_parser

__all__ = ["commands_of", "group_overview", "overview"]


def commands_of(word: str) -> list[Command]:
    """Return the commands that begin with a word."""
    module = import_module(f"lodge.cli.commands.{ENTRIES[word].module}")
    commands: Sequence[Command] = module.COMMANDS
    return [c for c in commands if c.name == word or c.name.startswith(f"{word} ")]


def overview(words: Sequence[str] = ()) -> str:
    """Return the help for everything, or for the command those words name (``lodge help set``).

    Raises:
        UsageError: there is no such command.
    """
    if words:
        return _help_for(words)
    lines = [
        "usage: lodge COMMAND ...",
        "",
        "Divide this server into many virtual servers and manage them.",
    ]
    section = ""
    for word, entry in ENTRIES.items():
        if entry.section != section:
            section = entry.section
            lines += ["", f"{section}:"]
        lines.append(f"  {word:<12}{entry.summary}")
    lines += [
        "",
        "examples:",
        "  lodge image build debian-12",
        "  lodge launch debian-12 web1 --cpus 2 --memory 2GiB --ssh-key ~/.ssh/id_ed25519.pub",
        "  lodge exec web1 -- uname -a",
        "",
        "More about a command: lodge COMMAND --help",
    ]
    return "\n".join(lines)


def group_overview(word: str) -> str:
    """Return the help of one group."""
    lines = [f"usage: lodge {word} COMMAND ...", "", f"{ENTRIES[word].summary.rstrip('.')}.", ""]
    commands = commands_of(word)
    column = max(len(command.name) for command in commands) + 3
    lines += [f"  {command.name:<{column}}{command.summary}" for command in commands]
    return "\n".join([*lines, "", f"More about one: lodge {word} COMMAND --help"])


def _help_for(words: Sequence[str]) -> str:
    if words[0] not in ENTRIES:
        raise UsageError(f"there is no command lodge {words[0]}", hint="see: lodge --help")
    name = " ".join(words[:2])
    for command in commands_of(words[0]):
        if command.name in (name, words[0]):
            return make_parser(command).format_help()
    return group_overview(words[0])

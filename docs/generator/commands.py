"""The command line, from its parsers."""

import argparse
from collections.abc import Iterable

from generator.markdown import code, fence, page, table
from lodge.cli.index import ENTRIES
from lodge.cli.overview import commands_of
from lodge.cli.parser import Command, Parser, add_global_options

__all__ = ["commands_page"]

_ABOUT = """
`lodge COMMAND --help` says the same. What was asked for goes to standard output; progress,
questions, hints and failures go to standard error, so that output can always be piped.

| what | how |
|---|---|
| this machine's daemon | `/run/lodge/lodged.sock`, or what `--socket` or `LODGE_SOCKET` names |
| a remote one | `lodge remote add NAME URL` once, then `--host NAME` or `LODGE_HOST` |
| token of a remote | the one kept by `lodge remote add` (mode 0600), or `LODGE_TOKEN` |
| no colours | `--color never` or `NO_COLOR`; there are none outside of a terminal |
| a bug in `lodge` itself | `LODGE_DEBUG=1` shows where |

Every list takes `--format table|json|yaml|csv`, `--filter FIELD=VALUE` (also `!=`, `~` for
contains, `<`, `<=`, `>`, `>=`; several must all hold), `--sort FIELD,-FIELD` and
`--columns FIELD,...`. A field is a column of that list or a dotted path into the records as
`--format json` shows them. Tables are for people: human units, relative ages. CSV, JSON and YAML
have bare numbers: bytes, MiB (`memory`), seconds; times in CSV are ISO 8601 in UTC.

How a command ends: [exit codes](exit-codes.md).
"""


def commands_page() -> str:
    """Every command below its heading."""
    parts = [_ABOUT, "## Options of every command", _options(_globals())]
    section = ""
    for word, entry in ENTRIES.items():
        if entry.section != section:
            section = entry.section
            parts.append(f"## {section}")
        parts += [part for command in commands_of(word) for part in _command(command)]
    return page("The command line", *parts)


def _command(command: Command) -> list[str]:
    parser = Parser(f"lodge {command.name}")
    command.add(parser)
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    parts = [f"### lodge {command.name}", command.description or f"{command.summary}."]
    parts.append(fence(_synopsis(command, actions)))
    shown = [action for action in actions if action.dest != "help"]
    if shown:
        parts.append(_options(shown))
    if command.examples:
        parts.append(fence("\n".join(command.examples), "sh"))
    return parts


def _synopsis(command: Command, actions: Iterable[argparse.Action]) -> str:
    words = [f"lodge {command.name}"]
    others = [action for action in actions if action.dest != "help"]
    if any(action.option_strings for action in others):
        words.append("[options]")
    words += [_place(action) for action in others if not action.option_strings]
    return " ".join(words)


def _place(action: argparse.Action) -> str:
    name = _value(action) or action.dest.upper()
    if action.nargs == "+":
        return f"{name} [{name} ...]"
    if action.nargs in ("*", argparse.REMAINDER):
        return f"[{name} ...]"
    return f"[{name}]" if action.nargs == "?" else name


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices:
        return "|".join(str(choice) for choice in action.choices)
    return action.dest.upper()


def _globals() -> list[argparse.Action]:
    parser = argparse.ArgumentParser(add_help=False)
    add_global_options(parser)
    return list(parser._actions)


def _options(actions: Iterable[argparse.Action]) -> str:
    rows = (
        (code(" ".join([", ".join(action.option_strings), _value(action)]).strip()), _help(action))
        for action in actions
    )
    return table(("argument", "meaning"), rows)


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")

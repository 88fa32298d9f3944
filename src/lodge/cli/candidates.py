"""What may stand next on the command line: commands, options, values, and names asked for live."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from lodge.base.errors import LodgeError
from lodge.cli.errors import UsageError
from lodge.cli.index import ENTRIES
from lodge.cli.invocation import Invocation
from lodge.cli.main import find_command
from lodge.cli.overview import commands_of
from lodge.cli.parser import Command, make_parser

__all__ = ["candidates"]

PATIENCE_S = 0.7
"""Nobody waits longer for a list of names; without it only the names are missing."""

_BY_METAVAR: Mapping[str, str] = {
    "IMAGE": "images",
    "POOL": "pools",
    "NETWORK": "networks",
    "PROFILE": "profiles",
    "TASK": "tasks",
    "TOKEN": "tokens",
    "[POOL/]NAME": "volumes",
    "RECIPE": "catalogue",
    "SOURCE": "catalogue",
    "REMOTE": "remotes",
    "NAME:/PATH": "places",
}

_NAME_OF: Mapping[str, str] = {
    "config get": "settings",
    "config set": "settings",
    "profile set": "profiles",
    "profile delete": "profiles",
    "remote remove": "remotes",
    "launch": "",
    "volume create": "",
    "pool create": "",
    "network create": "",
    "token create": "",
    "remote add": "",
}
"""What ``NAME`` is, where it is no instance; empty: something new."""


def candidates(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return what may replace the last word (perhaps empty); nothing: the shell offers files.

    Args:
        words: what stands after ``lodge``, the unfinished word last.
        environment: to find the daemon and the remotes.
    """
    *before, unfinished = words or [""]
    found = _possible(before, unfinished, environment)
    return sorted({each for each in found if each.startswith(unfinished)})


def _possible(before: list[str], unfinished: str, environment: Mapping[str, str]) -> list[str]:
    try:
        command, rest = find_command([*before, "--help"])
    except UsageError:
        return [] if before and not before[-1].startswith("-") else list(ENTRIES)
    if rest is None:
        prefix = f"{command.name} "
        return [each.name.removeprefix(prefix) for each in commands_of(command.name)]
    parser = make_parser(command)
    given = rest[:-1]
    option = parser._option_string_actions.get(given[-1]) if given else None
    if option is not None and option.nargs != 0:
        return _values(option, command, environment)
    if unfinished.startswith("-"):
        return list(parser._option_string_actions)
    place = _positional(parser, given)
    return [] if place is None else _values(place, command, environment)


def _positional(parser: argparse.ArgumentParser, given: Sequence[str]) -> argparse.Action | None:
    """Return the positional argument that the next word belongs to."""
    options = parser._option_string_actions
    count, is_value = 0, False
    for word in given:
        if is_value:
            is_value = False
        elif word.startswith("-"):
            action = options.get(word)
            is_value = action is not None and action.nargs != 0
        else:
            count += 1
    places = [a for a in parser._actions if not a.option_strings]
    if count < len(places):
        return places[count]
    last = places[-1] if places else None
    return last if last is not None and last.nargs in ("+", "*") else None


def _values(action: argparse.Action, command: Command, env: Mapping[str, str]) -> list[str]:
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    metavar = str(action.metavar or "")
    noun = _BY_METAVAR.get(metavar, "")
    if metavar == "NAME" or metavar.startswith("NAME="):
        noun = _NAME_OF.get(command.name, "instances")
    if action.dest == "host":
        noun = "remotes"
    return _names(noun, env) if noun else []


def _names(noun: str, environment: Mapping[str, str]) -> list[str]:
    from lodge.cli.guesses import names_of
    from lodge.client.blocking import PlainClient

    if noun == "remotes":
        from lodge.cli.remotes import load_remotes

        return list(load_remotes(environment))
    invocation = Invocation(argparse.Namespace(), environment=environment)
    try:
        invocation.client = PlainClient(invocation.address, timeout_s=PATIENCE_S)
        if noun == "places":
            return [f"{name}:/" for name in names_of(invocation, "instances")]
        return names_of(invocation, noun)
    except LodgeError:
        return []

"""The reference page of the command line, made from the commands themselves."""

from __future__ import annotations

from lodge.cli.failures import EXIT_MEANINGS
from lodge.cli.index import ENTRIES
from lodge.cli.overview import commands_of
from lodge.cli.parser import Command, make_parser

__all__ = ["reference"]

_BEGINNING = """\
# The command line

Made from the code by `make docs`; do not edit.

`lodge COMMAND --help` shows the same. Results go to standard output; progress, questions, hints
and failures to standard error, so that output can always be piped.

## Which daemon

| what | how |
|---|---|
| this machine's | `/run/lodge/lodged.sock`, or the socket that `--socket` or `LODGE_SOCKET` names |
| a remote one | `lodge remote add NAME URL ...` once, then `--host NAME` or `LODGE_HOST` |
| token of a remote | the one kept by `lodge remote add` (mode 0600), or `LODGE_TOKEN` |

## Lists

Every list takes `--format table|json|yaml|csv`, `--filter FIELD=VALUE` (also `!=`, `~` for
contains, `<`, `<=`, `>`, `>=`; several must all hold), `--sort FIELD,-FIELD` and
`--columns FIELD,...`. A field is a column of that list or a dotted path into the records as
`--format json` shows them. Tables are for people: human units, relative ages, cut to the terminal.
CSV, JSON and YAML have bare numbers: bytes, MiB (`memory`), seconds; times in CSV are ISO 8601 in
UTC.

## Colours

Only on a terminal, and not when `NO_COLOR` is set or `--color never` is given.

## Exit status

| status | meaning |
|---|---|
"""


def reference() -> str:
    """Return the whole page as Markdown."""
    lines = [_BEGINNING.rstrip("\n")]
    lines += [f"| {int(status)} | {meaning} |" for status, meaning in EXIT_MEANINGS.items()]
    lines += [
        "",
        "`lodge exec` passes on the status of the command in the guest, 128 + N when signal N",
        "killed it. With `--format json` a failure is one line of JSON on standard error.",
    ]
    section = ""
    for word, entry in ENTRIES.items():
        if entry.section != section:
            section = entry.section
            lines += ["", f"## {section}"]
        for command in commands_of(word):
            lines += ["", *_chapter(command)]
    return "\n".join(lines) + "\n"


def _chapter(command: Command) -> list[str]:
    text = make_parser(command).format_help().rstrip("\n")
    own, _, examples = text.partition("\n\nexamples:\n")
    own = own.partition("\n\noptions of every command:")[0]
    shown = [line.strip() for line in examples.splitlines()]
    return [
        f"### lodge {command.name}",
        "",
        "```text",
        own,
        "```",
        "",
        "```sh",
        *shown,
        "```",
    ]

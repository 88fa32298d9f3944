"""``lodge config``: settings of the daemon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lodge.base.errors import NotFoundError
from lodge.cli.errors import UsageError
from lodge.cli.parser import Command, nearest
from lodge.cli.records import list_command
from lodge.cli.rows import Column, Row, raw_value

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS", "SettingUnknownError", "typed_value"]

COLUMNS = (
    Column("name"),
    Column("value", can_shrink=True),
    Column("default", can_shrink=True),
    Column("takes_effect"),
    Column("description", can_shrink=True),
)


class SettingUnknownError(NotFoundError):
    """The daemon has no setting of that name."""

    code = "setting_unknown"


def _list(invocation: Invocation, _args: Namespace) -> Sequence[Row]:
    items: Sequence[Row] = invocation.client.settings.list()["items"]
    return items


def _find(rows: Sequence[Row], name: str) -> Row:
    for row in rows:
        if row["name"] == name:
            return row
    guess = nearest(name, [row["name"] for row in rows])
    hint = f"did you mean {guess}?" if guess else "see: lodge config list"
    raise SettingUnknownError(f"there is no setting {name!r}", where=name, hint=hint)


def typed_value(text: str, like: Any) -> Any:
    """Read a value written by a person as the type of another one; empty brings the default back.

    Raises:
        UsageError: it does not fit.
    """
    from lodge.cli.commands.change import yes_or_no

    if text == "":
        return None
    try:
        if isinstance(like, bool):
            return yes_or_no(text)
        if isinstance(like, int):
            return int(text)
        if isinstance(like, float):
            return float(text)
    except ValueError:
        kind = "yes or no" if isinstance(like, bool) else "a number"
        raise UsageError(f"{text!r} is not {kind}") from None
    return text


def _add_get(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which setting")


def _get(invocation: Invocation, args: Namespace) -> int:
    invocation.say(raw_value(_find(_list(invocation, args), args.name)["value"]))
    return 0


def _add_set(parser: Parser) -> None:
    parser.add_argument(
        "settings", metavar="NAME=VALUE", nargs="+", help="an empty value brings the default back"
    )


def _set(invocation: Invocation, args: Namespace) -> int:
    known = _list(invocation, args)
    values: dict[str, Any] = {}
    for pair in args.settings:
        name, sign, text = pair.partition("=")
        if not sign:
            raise UsageError(f"{pair!r} is not NAME=VALUE")
        values[name] = typed_value(text, _find(known, name)["default"])
    invocation.client.settings.change(values)
    for name, value in values.items():
        row = _find(known, name)
        later = "  (from the next start of lodged on)" if row["takes_effect"] == "restart" else ""
        invocation.say(f"{name} = {raw_value(row['default'] if value is None else value)}{later}")
    return 0


COMMANDS = (
    list_command("config list", "List settings", COLUMNS, _list, empty="no settings"),
    Command("config get", "Print one value", _add_get, _get, ("lodge config get listen_port",)),
    Command(
        "config set",
        "Change settings",
        _add_set,
        _set,
        ("lodge config set NAME=VALUE", "lodge config set NAME="),
    ),
)

"""``lodge token``: credentials for the HTTPS door."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lodge.cli.errors import UsageError
from lodge.cli.parallel import each_name
from lodge.cli.parser import Command
from lodge.cli.records import list_command
from lodge.cli.rows import Column, Row

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS", "parse_lifetime"]

COLUMNS = (
    Column("id"),
    Column("name"),
    Column("scope"),
    Column("expires", "expires_at", kind="until"),
    Column("used", "last_used_at", kind="until"),
    Column("age", "created_at", kind="age"),
)

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def parse_lifetime(text: str) -> int | None:
    """Read a lifetime (``30d``, ``12h``, ``1y``) as seconds; ``never`` is null.

    Raises:
        UsageError: not written like that.

    >>> parse_lifetime("30d"), parse_lifetime("never")
    (2592000, None)
    """
    if text == "never":
        return None
    match = re.fullmatch(r"(\d{1,6})([mhdwy])", text.strip().lower())
    if match is None or int(match[1]) == 0:
        raise UsageError(
            f"{text!r} is not a lifetime", where="--expires", hint="as in 30d, 12h, 1y or never"
        )
    return int(match[1]) * _UNITS[match[2]]


def _list(invocation: Invocation, _args: Namespace) -> Sequence[Row]:
    items: Sequence[Row] = invocation.client.tokens.list()["items"]
    return items


def _add_create(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="who or what will use it")
    parser.add_argument(
        "--scope", choices=("read", "write", "admin"), default="read", help="what it may do (read)"
    )
    parser.add_argument(
        "--expires",
        type=parse_lifetime,
        default=7776000,
        metavar="TIME",
        help="as in 30d, 12h, 1y, never (90d)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form (text)")


def _create(invocation: Invocation, args: Namespace) -> int:
    from lodge.model.token import Scope, TokenCreate

    request = TokenCreate(name=args.name, scope=Scope(args.scope), expires_in_s=args.expires)
    created = invocation.client.tokens.create(request)
    if args.format == "json":
        from lodge.cli.formats import to_json

        invocation.say(to_json(created))
        return 0
    invocation.say(created["secret"])
    invocation.tell(
        f"token {created['token']['id']} ({args.scope}); the secret above is shown this once only"
    )
    return 0


def _add_revoke(parser: Parser) -> None:
    parser.add_argument("name", metavar="TOKEN", nargs="+", help="ids, as in lodge token list")


def _revoke(invocation: Invocation, args: Namespace) -> int:
    return each_name(
        invocation,
        args.name,
        invocation.client.tokens.revoke,
        lambda name, _nothing: invocation.say(f"{name}: revoked"),
    )


COMMANDS = (
    Command(
        "token create",
        "Create a token; its secret goes to standard output, once",
        _add_create,
        _create,
        (
            "lodge token create ci --scope write --expires 30d",
            "(umask 077; lodge token create laptop --scope admin > laptop.token)",
        ),
    ),
    list_command("token list", "List tokens", COLUMNS, _list, empty="no tokens yet"),
    Command("token revoke", "End tokens", _add_revoke, _revoke, ("lodge token revoke ID",)),
)

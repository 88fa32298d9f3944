"""``lodge remote``: daemons on other machines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lodge.cli.errors import AbortedError, UsageError
from lodge.cli.parser import Command
from lodge.cli.records import list_command
from lodge.cli.remotes import add_remote, load_remotes, remove_remote
from lodge.cli.rows import Column, Row
from lodge.client.address import Address, plain_fingerprint, read_token

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]

COLUMNS = (
    Column("name"),
    Column("url"),
    Column(
        "trust", lambda row: "pinned" if row.get("fingerprint") else row.get("ca_file") or "system"
    ),
    Column("token", lambda row: "kept" if row.get("token") else row.get("token_file") or "none"),
    Column("fingerprint", is_default=False),
)


def _add_add(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="what you will call it: lodge --host NAME ...")
    parser.add_argument("url", metavar="URL", help="https://HOST or https://HOST:PORT")
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument("--fingerprint", metavar="SHA256", help="the server's certificate, pinned")
    trust.add_argument("--ca-file", metavar="FILE", help="authority that signed the certificate")
    trust.add_argument("--system-ca", action="store_true", help="trust what this machine trusts")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with the token, private to you; - reads standard input (or asks)",
    )
    parser.add_argument("--replace", action="store_true", help="overwrite one of that name")


def _add(invocation: Invocation, args: Namespace) -> int:
    Address.from_url(args.url)
    fingerprint = args.fingerprint and plain_fingerprint(args.fingerprint)
    if not (fingerprint or args.ca_file or args.system_ca):
        fingerprint = _confirmed_fingerprint(invocation, args.url)
    remote = {
        "url": args.url,
        "fingerprint": fingerprint or None,
        "ca_file": args.ca_file,
        "token": _token(invocation, args.token_file),
    }
    path = add_remote(args.name, remote, invocation.environment, is_replacing=args.replace)
    invocation.say(f"{args.name}: added (kept in {path})")
    invocation.tell(f"try it: lodge --host {args.name} list")
    return 0


def _confirmed_fingerprint(invocation: Invocation, url: str) -> str:
    """Show the certificate found there and let a person compare it; scripts must bring it."""
    if not invocation.is_interactive:
        raise UsageError(
            "how is the server's certificate to be trusted?",
            hint="--fingerprint SHA256, --ca-file FILE or --system-ca;"
            " lodged tells the first in its log when it starts",
        )
    from lodge.client.connection import shown_fingerprint

    found = shown_fingerprint(Address.from_url(url))
    invocation.tell(f"{url} shows the certificate\n  {found}")
    if not invocation.ask("Is that the fingerprint printed on the server?"):
        raise AbortedError("the certificate was not confirmed; nothing was added")
    return found


def _token(invocation: Invocation, path: str | None) -> str | None:
    if path is not None and path != "-":
        return read_token(path)
    if path is None and not invocation.is_interactive:
        return None
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass("Token (empty: none): ").strip() or None
    return sys.stdin.readline().strip() or None


def _list(invocation: Invocation, _args: Namespace) -> Sequence[Row]:
    remotes = load_remotes(invocation.environment)
    hidden = {"token": "***"}
    return [
        {"name": name, **remote, **(hidden if remote.get("token") else {})}
        for name, remote in remotes.items()
    ]


def _add_remove(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which one")


def _remove(invocation: Invocation, args: Namespace) -> int:
    remove_remote(args.name, invocation.environment)
    invocation.say(f"{args.name}: removed")
    return 0


COMMANDS = (
    Command(
        "remote add",
        "Remember a remote daemon, its certificate and a token",
        _add_add,
        _add,
        (
            "lodge remote add lab https://lab.example:8443 --fingerprint SHA256 --token-file t",
            "lodge --host lab list",
        ),
    ),
    list_command("remote list", "List remotes", COLUMNS, _list, empty="no remotes yet"),
    Command("remote remove", "Forget a remote", _add_remove, _remove, ("lodge remote remove lab",)),
)

"""``lodge events`` and ``lodge audit``: what happened, and who did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lodge.cli.human import moment, plain
from lodge.cli.listing import add_listing_options, show_rows
from lodge.cli.parser import Command
from lodge.cli.records import list_command
from lodge.cli.rows import Column, Row, keep_rows

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS", "event_line"]

EVENT_COLUMNS = (
    Column("id", kind="number"),
    Column("time", lambda row: moment(row["at"])),
    Column("kind"),
    Column("target", can_shrink=True),
    Column("data", can_shrink=True),
    Column("age", "at", kind="age", is_default=False),
    Column("trace", is_default=False),
)

AUDIT_COLUMNS = (
    Column("id", kind="number"),
    Column("time", lambda row: moment(row["at"])),
    Column("actor", "actor.name"),
    Column("address", "actor.address"),
    Column("via", "actor.via", is_default=False),
    Column("action"),
    Column("target", can_shrink=True),
    Column("result"),
    Column("task", is_default=False),
    Column("params", is_default=False, can_shrink=True),
    Column("age", "at", kind="age", is_default=False),
)


def event_line(event: Mapping[str, Any]) -> str:
    """Write an event on one line, for people who watch.

    >>> event_line({"id": 7, "at": 0, "kind": "instance.started", "target": "instances/a"})
    '7  1970-01-01T00:00:00Z  instance.started  instances/a'
    """
    parts = [str(event["id"]), moment(event["at"]), event["kind"], event["target"]]
    if event.get("data"):
        parts.append(plain(event["data"]))
    return "  ".join(parts)


def _add_events(parser: Parser) -> None:
    parser.add_argument("--follow", "-f", action="store_true", help="go on as they happen")
    parser.add_argument(
        "--since", type=int, metavar="ID", help="only what is later than this event"
    )
    add_listing_options(parser, EVENT_COLUMNS, sort="id")


def _events(invocation: Invocation, args: Namespace) -> int:
    if args.follow:
        return _follow(invocation, args)
    page = invocation.client.events.since(args.since or 0)
    if page.get("is_compacted") and args.since:
        invocation.tell("warning: events in between are no longer kept")
    return show_rows(invocation, args, page["items"], EVENT_COLUMNS, empty="nothing happened yet")


def _follow(invocation: Invocation, args: Namespace) -> int:
    """Print one event per line, whole and at once, also into a pipe."""
    import json

    def warn() -> None:
        invocation.tell("warning: events in between are no longer kept")

    for event in invocation.client.events.follow(args.since, on_gap=warn):
        if not keep_rows([event], EVENT_COLUMNS, args.filter):
            continue
        is_plain = args.format in ("table", "csv")
        text = event_line(event) if is_plain else json.dumps(event, ensure_ascii=False)
        invocation.say(text)
        invocation.out.flush()
    return 0


def _audit(invocation: Invocation, args: Namespace) -> Sequence[Row]:
    items: Sequence[Row] = invocation.client.audit.list(limit=args.limit, sort="-id")["items"]
    return items


def _add_limit(parser: Parser) -> None:
    parser.add_argument("--limit", type=int, metavar="N", help="look only at the newest ones")


COMMANDS = (
    Command(
        "events",
        "Show what happened, and what happens",
        _add_events,
        _events,
        (
            "lodge events --follow",
            "lodge events --since 1200 --filter kind~instance",
            "lodge events --follow --format json",
        ),
        "Show what happened, and with --follow what happens: one line per event, taken up again\n"
        "behind the last one when the connection breaks.",
    ),
    list_command(
        "audit",
        "Show who changed what",
        AUDIT_COLUMNS,
        _audit,
        empty="nothing was changed yet",
        add=_add_limit,
        sort="id",
        examples=("lodge audit --limit 50", "lodge audit --filter actor=ci --filter result!=done"),
    ),
)

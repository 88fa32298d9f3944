"""``lodge list`` and ``lodge show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lodge.cli.listing import add_listing_options, show_rows
from lodge.cli.parser import Command
from lodge.cli.rows import Column, Row, dig

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COLUMNS", "COMMANDS", "first_address"]


def first_address(row: Row, *, is_ipv6: bool = False) -> str | None:
    """Return the first address seen of an instance: IPv4, or IPv6 beyond the link."""
    for text in dig(row, "status.addresses") or []:
        address = str(text).partition("/")[0]
        if (":" in address) == is_ipv6 and not address.startswith("fe80:"):
            return address
    return None


def _ipv4(row: Row) -> Any:
    return first_address(row) or _first_of(row, "ipv4")


def _ipv6(row: Row) -> Any:
    return first_address(row, is_ipv6=True) or _first_of(row, "ipv6")


def _first_of(row: Row, field: str) -> Any:
    """The address reserved for the first nic that has one, while the guest was not seen yet."""
    nics = dig(row, "spec.nics") or []
    return next((nic[field].partition("/")[0] for nic in nics if nic.get(field)), None)


def _image(row: Row) -> Any:
    return row.get("image_name") or (dig(row, "spec.image") or "")[:12]


COLUMNS = (
    Column("name"),
    Column("state", is_state=True),
    Column("ipv4", _ipv4),
    Column("ipv6", _ipv6, is_default=False),
    Column("image", _image, can_shrink=True),
    Column("cpus", "spec.cpu.count", kind="number"),
    Column("memory", "spec.memory_mib", kind="mib"),
    Column("uptime", "status.started_at", kind="age"),
    Column("description", "spec.description", is_default=False, can_shrink=True),
    Column("tags", "spec.tags", is_default=False, can_shrink=True),
    Column(
        "networks",
        lambda row: [nic["network"] for nic in dig(row, "spec.nics") or []],
        is_default=False,
        can_shrink=True,
    ),
    Column("kind", is_default=False),
    Column("driver", is_default=False),
    Column("accelerator", "status.accelerator", is_default=False),
    Column("protected", "spec.is_protected", is_default=False),
    Column("boot", "spec.starts_at_boot", is_default=False),
    Column("agent", "status.agent_answers", is_default=False),
    Column("crashes", "status.crash_count", kind="number", is_default=False),
    Column("reason", "status.reason", is_default=False, can_shrink=True),
    Column("created", "created_at", kind="age", is_default=False),
    Column("id", is_default=False),
)


def _add_list(parser: Parser) -> None:
    add_listing_options(parser, COLUMNS)


def _list(invocation: Invocation, args: Namespace) -> int:
    rows = invocation.client.instances.list()["items"]
    return show_rows(
        invocation,
        args,
        rows,
        COLUMNS,
        empty="no instances yet; create one with: lodge launch debian-12 web1",
    )


def _add_show(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="+", help="which instances")
    parser.add_argument(
        "--format", choices=("text", "json", "yaml"), default="text", help="form (text)"
    )


def _show(invocation: Invocation, args: Namespace) -> int:
    from lodge.cli.details import instance_details, show_records

    records = [invocation.client.instances.get(name) for name in args.name]
    return show_records(invocation, args, records, instance_details)


COMMANDS = (
    Command(
        "list",
        "List instances",
        _add_list,
        _list,
        (
            "lodge list",
            "lodge list --filter state=running --sort -memory",
            "lodge list --columns name,ipv4 --format csv",
        ),
    ),
    Command(
        "show",
        "Show everything about an instance",
        _add_show,
        _show,
        ("lodge show web1", "lodge show web1 --format yaml"),
    ),
)

"""``lodge pool``: where volumes live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lodge.base.errors import LodgeError
from lodge.base.units import parse_size
from lodge.cli.parser import Command
from lodge.cli.records import change_each, change_one, list_command, show_command
from lodge.cli.rows import Column, Row
from lodge.cli.waiting import add_wait_options

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]

COLUMNS = (
    Column("name"),
    Column("driver"),
    Column("health", "usage.health", is_state=True),
    Column("free", "usage.free_bytes", kind="bytes"),
    Column("total", "usage.total_bytes", kind="bytes"),
    Column("allocated", "usage.allocated_bytes", kind="bytes"),
    Column("promised", "usage.promised_bytes", kind="bytes"),
    Column("path", can_shrink=True),
    Column("description", is_default=False, can_shrink=True),
    Column("age", "created_at", kind="age", is_default=False),
)

_FIELDS = (
    ("Name", "name", "text"),
    ("Driver", "driver", "text"),
    ("Health", "usage.health", "text"),
    ("Free", "usage.free_bytes", "bytes"),
    ("Total", "usage.total_bytes", "bytes"),
    ("Volumes take", "usage.allocated_bytes", "bytes"),
    ("Volumes may grow to", "usage.promised_bytes", "bytes"),
    ("Warns at", "warn_percent", "percent"),
    ("Pauses guests below", "guard_bytes", "bytes"),
    ("Path", "path", "text"),
    ("Description", "description", "text"),
    ("Created", "created_at", "when"),
)


def _with_usage(invocation: Invocation, pool: Mapping[str, Any]) -> Row:
    """Add a pool's usage; an offline one is shown as such and hides none of the others."""
    try:
        usage = invocation.client.pools.usage(pool["name"])
    except LodgeError:
        usage = {"health": "offline"}
    return {**pool, "usage": usage}


def _list(invocation: Invocation, _args: Namespace) -> Sequence[Row]:
    pools = invocation.client.pools.list()["items"]
    return [_with_usage(invocation, pool) for pool in pools]


def _add_create(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the new pool")
    parser.add_argument("--driver", default="dir", metavar="DRIVER", help="dir or btrfs (dir)")
    parser.add_argument("--path", metavar="FOLDER", help="folder on the host; made when missing")
    parser.add_argument("--description", default="", metavar="TEXT", help="for people")
    parser.add_argument("--warn-percent", type=int, default=85, metavar="N", help="warn at (85)")
    parser.add_argument(
        "--guard",
        type=parse_size,
        default=1 << 28,
        metavar="SIZE",
        help="pause writing guests when less is free (256MiB)",
    )
    add_wait_options(parser)


def _create(invocation: Invocation, args: Namespace) -> int:
    from lodge.model.storage import PoolCreate

    request = PoolCreate(
        name=args.name,
        driver=args.driver,
        path=args.path,
        description=args.description,
        warn_percent=args.warn_percent,
        guard_bytes=args.guard,
    )
    return change_one(
        invocation,
        args,
        f"Creating {args.name}",
        lambda wait_s: invocation.client.pools.create(request, wait_s=wait_s),
        lambda _task: f"{args.name}: created",
    )


COMMANDS = (
    list_command("pool list", "List storage pools", COLUMNS, _list, empty="no pools yet"),
    show_command(
        "pool show",
        "Show everything about storage pools",
        "POOL",
        _FIELDS,
        lambda invocation, name: _with_usage(invocation, invocation.client.pools.get(name)),
        example="lodge pool show default",
    ),
    Command(
        "pool create",
        "Create a storage pool",
        _add_create,
        _create,
        ("lodge pool create fast --path /mnt/nvme", "lodge pool create tree --driver btrfs"),
    ),
    change_each(
        "pool delete",
        "Delete empty storage pools",
        "POOL",
        lambda invocation, name, wait_s: invocation.client.pools.delete(name, wait_s=wait_s),
        doing="Deleting",
        done="deleted",
        example="lodge pool delete fast",
    ),
)

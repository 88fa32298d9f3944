"""``lodge volume``: data objects in storage pools, named NAME or POOL/NAME."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lodge.base.units import parse_size
from lodge.cli.parser import Command
from lodge.cli.records import change_each, change_one, list_command, show_command
from lodge.cli.rows import Column, Row
from lodge.cli.waiting import add_wait_options

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS", "split_volume"]

COLUMNS = (
    Column("pool"),
    Column("name", can_shrink=True),
    Column("size", "size_bytes", kind="bytes"),
    Column("format"),
    Column("owner"),
    Column("image", can_shrink=True),
    Column("age", "created_at", kind="age"),
)

_FIELDS = (
    ("Pool", "pool", "text"),
    ("Name", "name", "text"),
    ("Size", "size_bytes", "bytes"),
    ("Takes on disk", "usage.allocated_bytes", "bytes"),
    ("Shared with image", "usage.shared_bytes", "bytes"),
    ("Format", "format", "text"),
    ("Image", "image", "text"),
    ("Owner", "owner", "text"),
    ("Created", "created_at", "when"),
)


def split_volume(text: str) -> tuple[str, str]:
    """Read ``POOL/NAME``; the pool is ``default`` when it is left out.

    >>> split_volume("fast/data"), split_volume("data")
    (('fast', 'data'), ('default', 'data'))
    """
    pool, sign, name = text.partition("/")
    return (pool, name) if sign else ("default", text)


def _add_pool(parser: Parser) -> None:
    parser.add_argument("--pool", metavar="POOL", help="only those of this pool")


def _list(invocation: Invocation, args: Namespace) -> Sequence[Row]:
    items: Sequence[Row] = invocation.client.volumes.list(args.pool)["items"]
    owners = {row["id"]: row["name"] for row in invocation.client.instances.list()["items"]}
    images = {
        row["fingerprint"]: row["aliases"][0]
        for row in invocation.client.images.list()["items"]
        if row["aliases"]
    }
    return [
        {
            **row,
            "owner": owners.get(row["owner"], row["owner"]),
            "image": images.get(row["image"], (row["image"] or "")[:12]),
        }
        for row in items
    ]


def _get(invocation: Invocation, text: str) -> Mapping[str, Any]:
    pool, name = split_volume(text)
    volume: dict[str, Any] = invocation.client.volumes.get(pool, name)
    return {**volume, "usage": invocation.client.volumes.usage(pool, name)}


def _add_create(parser: Parser) -> None:
    parser.add_argument("name", metavar="[POOL/]NAME", help="name of the new volume")
    parser.add_argument("--size", type=parse_size, metavar="SIZE", help="as in 20GiB")
    parser.add_argument(
        "--volume-format", choices=("qcow2", "raw"), default="qcow2", help="(qcow2)"
    )
    parser.add_argument("--image", metavar="IMAGE", help="a linked clone of this image")
    add_wait_options(parser)


def _create(invocation: Invocation, args: Namespace) -> int:
    from lodge.model.storage import VolumeCreate, VolumeFormat

    pool, name = split_volume(args.name)
    request = VolumeCreate(
        name=name,
        pool=pool,
        size_bytes=args.size,
        format=VolumeFormat(args.volume_format),
        image=args.image,
    )
    return change_one(
        invocation,
        args,
        f"Creating {pool}/{name}",
        lambda wait_s: invocation.client.volumes.create(request, wait_s=wait_s),
        lambda _task: f"{pool}/{name}: created",
    )


def _add_resize(parser: Parser) -> None:
    parser.add_argument("name", metavar="[POOL/]NAME", help="which volume")
    parser.add_argument("size", metavar="SIZE", type=parse_size, help="as in 40GiB; it only grows")
    add_wait_options(parser)


def _resize(invocation: Invocation, args: Namespace) -> int:
    from lodge.base.units import format_size

    pool, name = split_volume(args.name)
    return change_one(
        invocation,
        args,
        f"Resizing {pool}/{name}",
        lambda wait_s: invocation.client.volumes.resize(pool, name, args.size, wait_s=wait_s),
        lambda _task: f"{pool}/{name}: {format_size(args.size)}",
    )


COMMANDS = (
    list_command(
        "volume list",
        "List volumes",
        COLUMNS,
        _list,
        empty="no volumes yet",
        add=_add_pool,
        sort="pool,name",
        examples=("lodge volume list", "lodge volume list --filter 'size>10GiB'"),
    ),
    show_command(
        "volume show",
        "Show everything about volumes",
        "[POOL/]NAME",
        _FIELDS,
        _get,
        example="lodge volume show web1-root",
    ),
    Command(
        "volume create",
        "Create an empty volume or a linked clone of an image",
        _add_create,
        _create,
        ("lodge volume create data --size 100GiB", "lodge volume create fast/tmp --size 1TiB"),
    ),
    Command(
        "volume resize", "Grow a volume", _add_resize, _resize, ("lodge volume resize data 200GiB",)
    ),
    change_each(
        "volume delete",
        "Delete volumes that no instance owns",
        "[POOL/]NAME",
        lambda invocation, name, wait_s: invocation.client.volumes.delete(
            *split_volume(name), wait_s=wait_s
        ),
        doing="Deleting",
        done="deleted",
        example="lodge volume delete data",
        question="Delete {} and all data on it?",
    ),
)

"""``lodge image``: the sources of disks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lodge.base.errors import InvalidError
from lodge.cli.commands.files import save
from lodge.cli.errors import LocalFileError, UsageError
from lodge.cli.parser import Command
from lodge.cli.records import change_each, change_one, list_command, show_command, tell_task
from lodge.cli.rows import Column, Row
from lodge.cli.waiting import add_wait_options, await_task

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]

FORMATS = ("qcow2", "raw", "vmdk", "vdi", "vpc", "vhdx")

COLUMNS = (
    Column("alias", "aliases", can_shrink=True),
    Column("fingerprint", kind="short"),
    Column("os", can_shrink=True),
    Column("architecture", is_default=False),
    Column("disk", "virtual_bytes", kind="bytes"),
    Column("size", "file_bytes", kind="bytes"),
    Column("origin"),
    Column("age", "created_at", kind="age"),
    Column("description", is_default=False, can_shrink=True),
    Column("source", is_default=False, can_shrink=True),
    Column("cloud_init", "has_cloud_init", is_default=False),
    Column("agent", "has_agent", is_default=False),
    Column("kernel", "has_kernel", is_default=False),
    Column("user", "default_user", is_default=False),
    Column("min_memory", "min_memory_mib", kind="mib", is_default=False),
)

CATALOGUE_COLUMNS = (
    Column("name"),
    Column("os", can_shrink=True),
    Column("how", lambda row: "build" if row.get("recipe") else "download"),
    Column("size", "size_bytes", kind="bytes"),
    Column("user", "default_user"),
    Column("description", can_shrink=True),
    Column("architecture", is_default=False),
    Column("url", is_default=False, can_shrink=True),
)

_FIELDS = (
    ("Aliases", "aliases", "text"),
    ("Fingerprint", "fingerprint", "text"),
    ("Description", "description", "text"),
    ("System", "os", "text"),
    ("Architecture", "architecture", "text"),
    ("Disk", "virtual_bytes", "bytes"),
    ("File", "file_bytes", "bytes"),
    ("Origin", "origin", "text"),
    ("Source", "source", "text"),
    ("Cloud-init", "has_cloud_init", "text"),
    ("Guest agent", "has_agent", "text"),
    ("Kernel beside it", "has_kernel", "text"),
    ("Log in as", "default_user", "text"),
    ("Needs memory", "min_memory_mib", "mib"),
    ("Created", "created_at", "when"),
)


def _list(invocation: Invocation, _args: Namespace) -> Sequence[Row]:
    items: Sequence[Row] = invocation.client.images.list()["items"]
    return items


def _catalogue(invocation: Invocation, _args: Namespace) -> Sequence[Row]:
    items: Sequence[Row] = invocation.client.images.catalogue()["items"]
    return items


def _said(task: Mapping[str, Any]) -> str:
    result = task.get("result") or {}
    name = result.get("alias") or ", ".join(result.get("aliases") or ())
    fingerprint = str(result.get("fingerprint", ""))[:12]
    known = " ".join(word for word in (name, fingerprint) if word)
    return f"image {known} is ready" if known else "the image is ready"


def _add_add(parser: Parser) -> None:
    parser.add_argument(
        "source", metavar="SOURCE", help="name in the catalogue, URL, or file on the host"
    )
    parser.add_argument("--alias", metavar="NAME", help="name for it")
    parser.add_argument("--sha256", metavar="DIGITS", help="refuse anything else")
    parser.add_argument("--image-format", choices=FORMATS, help="do not look, it is this")
    parser.add_argument("--description", default="", metavar="TEXT", help="for people")
    add_wait_options(parser)


def _add(invocation: Invocation, args: Namespace) -> int:
    from lodge.model.image import ImageAdd, ImageFormat

    request = ImageAdd(
        source=args.source,
        alias=args.alias,
        sha256=args.sha256,
        format=None if args.image_format is None else ImageFormat(args.image_format),
        description=args.description,
    )
    return change_one(
        invocation,
        args,
        f"Adding {args.alias or args.source}",
        lambda wait_s: invocation.client.images.add(request, wait_s=wait_s),
        _said,
    )


def _add_build(parser: Parser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="as in lodge image catalogue")
    parser.add_argument("--alias", metavar="NAME", help="name for it (the recipe's)")
    parser.add_argument("--force", action="store_true", help="also when it was built before")
    add_wait_options(parser)


def _build(invocation: Invocation, args: Namespace) -> int:
    from lodge.model.image import ImageBuild

    request = ImageBuild(recipe=args.recipe, alias=args.alias, is_forced=args.force)
    return change_one(
        invocation,
        args,
        f"Building {args.recipe}",
        lambda wait_s: invocation.client.images.build(request, wait_s=wait_s),
        _said,
    )


def _add_import(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="disk image here; - is standard input")
    parser.add_argument("--alias", metavar="NAME", help="name for it")
    parser.add_argument("--image-format", choices=FORMATS, help="do not look, it is this")
    parser.add_argument("--description", default="", metavar="TEXT", help="for people")
    add_wait_options(parser)


def _import(invocation: Invocation, args: Namespace) -> int:
    size = None if args.file == "-" else _file_size(args.file)
    data = _sent(invocation, args.file, size)
    answer = invocation.client.images.upload(
        data, alias=args.alias, format=args.image_format, description=args.description
    )
    task = answer["task"]
    if not args.no_wait and task["state"] != "done":
        try:
            task = await_task(
                invocation, task["id"], f"Importing {args.file}", timeout_s=args.wait_timeout
            )
        except InvalidError as error:
            # The daemon knows what was sent as "source" only.
            name = "standard input" if args.file == "-" else args.file
            if error.message.startswith("source "):
                error.message = name + error.message.removeprefix("source")
            error.where = name
            raise
    tell_task(invocation, args, task, _said)
    return 0


def _file_size(text: str) -> int:
    path = Path(text)
    try:
        if not path.is_file():
            raise LocalFileError(f"{text} is not a file", where=text)
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise LocalFileError(f"cannot read {text}: {error.strerror}", where=text) from error


def _sent(invocation: Invocation, text: str, size: int | None) -> Iterator[bytes]:
    """Yield a file's pieces, showing how much of it is on its way."""
    from lodge.cli.progress import ProgressLine

    line = ProgressLine(invocation.err, f"Sending {text}", is_terminal=invocation.err.isatty())
    began, done = invocation.now(), 0
    handle = sys.stdin.fileno() if text == "-" else os.open(text, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while piece := os.read(handle, 1 << 20):
            yield piece
            done += len(piece)
            progress = {"done": done, "total": size, "unit": "bytes", "started_at": began}
            step = {"name": "upload", "state": "running", "progress": progress}
            line.show({"state": "running", "steps": [step]}, invocation.now())
    finally:
        line.clear()
        if text != "-":
            os.close(handle)


def _add_export(parser: Parser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="alias or fingerprint")
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        help="qcow2 file here; - is standard output (IMAGE.qcow2)",
    )


def _export(invocation: Invocation, args: Namespace) -> int:
    pieces = invocation.client.images.download(args.image)
    if args.file == "-":
        if sys.stdout.isatty():
            raise UsageError(
                "an image on a terminal helps nobody", hint="give a FILE, or use a pipe"
            )
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return 0
    target = Path(args.file or f"{args.image}.qcow2")
    save(pieces, target)
    invocation.say(str(target))
    return 0


def _add_alias(parser: Parser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="alias or fingerprint")
    parser.add_argument(
        "alias", metavar="NAME", nargs="*", help="exactly these aliases; none: none"
    )


def _alias(invocation: Invocation, args: Namespace) -> int:
    image = invocation.client.images.set_aliases(args.image, args.alias)
    names = ", ".join(image["aliases"]) or "no alias"
    invocation.say(f"{image['fingerprint'][:12]}: {names}")
    return 0


COMMANDS = (
    list_command(
        "image list",
        "List images",
        COLUMNS,
        _list,
        empty="no images yet; get one with: lodge image build debian-12",
        sort="alias",
        examples=("lodge image list", "lodge image list --filter origin=built --sort -size"),
    ),
    show_command(
        "image show",
        "Show everything about images",
        "IMAGE",
        _FIELDS,
        lambda invocation, name: invocation.client.images.get(name),
        example="lodge image show debian-12",
    ),
    list_command(
        "image catalogue",
        "List what can be downloaded or built by name",
        CATALOGUE_COLUMNS,
        _catalogue,
        empty="the catalogue is empty",
    ),
    Command(
        "image add",
        "Add an image from the catalogue, a URL, or a file on the host",
        _add_add,
        _add,
        (
            "lodge image add debian-12",
            "lodge image add https://example.org/disk.qcow2 --alias mine --sha256 DIGITS",
        ),
    ),
    Command(
        "image build",
        "Build an image from distribution packages",
        _add_build,
        _build,
        ("lodge image build debian-12",),
    ),
    Command(
        "image import",
        "Send a disk image from this side",
        _add_import,
        _import,
        ("lodge image import old-server.vmdk --alias old-server",),
    ),
    Command(
        "image export",
        "Fetch an image's qcow2 file",
        _add_export,
        _export,
        ("lodge image export debian-12 backup.qcow2",),
    ),
    Command(
        "image alias",
        "Set the aliases of an image",
        _add_alias,
        _alias,
        ("lodge image alias 3fa9c2d17e01 debian-12 stable",),
    ),
    change_each(
        "image remove",
        "Remove images that nobody uses",
        "IMAGE",
        lambda invocation, name, wait_s: invocation.client.images.remove(name, wait_s=wait_s),
        doing="Removing",
        done="removed",
        example="lodge image remove old-server",
        question="Remove {} for good?",
    ),
)

"""``lodge push`` and ``lodge pull``: files into and out of instances."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lodge.cli.errors import LocalFileError, UsageError
from lodge.cli.parser import Command

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser
    from lodge.client.call import Octets

__all__ = ["COMMANDS", "parse_place", "save"]


def parse_place(text: str) -> tuple[str, str]:
    """Read ``NAME:/path``.

    Raises:
        UsageError: not written like that.
    """
    name, sign, path = text.partition(":")
    if not sign or not name or not path.startswith("/"):
        raise UsageError(f"{text!r} is not a place in an instance", hint="write NAME:/path/to/file")
    return name, path


def save(pieces: Iterable[bytes], target: Path, *, mode: int = 0o644) -> int:
    """Write pieces to a file that appears when it is whole; return its size.

    Raises:
        LocalFileError: it cannot be written.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    size = 0
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(part, flags, mode), "wb") as file:
            for piece in pieces:
                size += file.write(piece)
        os.replace(part, target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise LocalFileError(
            f"cannot write {target}: {error.strerror}", where=str(target)
        ) from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return size


def _add_push(parser: Parser) -> None:
    parser.add_argument("source", metavar="FILE", help="file here; - is standard input")
    parser.add_argument("target", metavar="NAME:/PATH", help="place in the instance")
    parser.add_argument(
        "--mode", metavar="OCTAL", help="permission bits (those of FILE; 644 for standard input)"
    )


def _push(invocation: Invocation, args: Namespace) -> int:
    name, path = parse_place(args.target)
    if path.endswith("/"):
        if args.source == "-":
            raise UsageError("standard input has no name: give the whole path of the file")
        path += Path(args.source).name
    data, mode = _source(args.source)
    if args.mode is not None:
        mode = _octal(args.mode)
    written = invocation.client.instances.write_file(name, path, data, mode=mode)
    invocation.tell(f"{name}:{path}: {_size(written['written_bytes'])} written")
    return 0


def _source(text: str) -> tuple[Octets, int]:
    if text == "-":
        return _stdin(), 0o644
    path = Path(text)
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise LocalFileError(
                f"{text} is not a file",
                where=text,
                hint="folders go through tar: tar c FOLDER | lodge exec NAME -- tar x -C /PLACE",
            )
        with path.open("rb"):
            pass
    except OSError as error:
        raise LocalFileError(f"cannot read {text}: {error.strerror}", where=text) from error
    return path, stat.S_IMODE(facts.st_mode) & 0o777


def _stdin() -> Iterator[bytes]:
    while piece := os.read(sys.stdin.fileno(), 1 << 16):
        yield piece


def _octal(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise UsageError(f"{text!r} is not a file mode", where="--mode", hint="as in --mode 640")
    return mode


def _size(size_bytes: int) -> str:
    from lodge.base.units import format_size

    return format_size(size_bytes)


def _add_pull(parser: Parser) -> None:
    parser.add_argument("source", metavar="NAME:/PATH", help="file in the instance")
    parser.add_argument(
        "target", metavar="FILE", nargs="?", help="file or folder here; - is standard output (.)"
    )


def _pull(invocation: Invocation, args: Namespace) -> int:
    name, path = parse_place(args.source)
    pieces = invocation.client.instances.read_file(name, path)
    if args.target == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return 0
    target = Path(args.target or ".")
    if target.is_dir():
        target /= PurePosixPath(path).name or "file"
    size = save(pieces, target)
    invocation.tell(f"{target}: {_size(size)} written")
    return 0


COMMANDS = (
    Command(
        "push",
        "Copy a file into an instance",
        _add_push,
        _push,
        (
            "lodge push site.conf web1:/etc/nginx/sites-enabled/",
            "lodge push key.pem web1:/etc/ssl/private/key.pem --mode 600",
            "date | lodge push - web1:/etc/motd",
        ),
    ),
    Command(
        "pull",
        "Copy a file out of an instance",
        _add_pull,
        _pull,
        ("lodge pull web1:/var/log/syslog", "lodge pull web1:/etc/hostname -"),
    ),
)

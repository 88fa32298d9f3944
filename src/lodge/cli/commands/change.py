"""``lodge set``, ``rename`` and ``delete``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lodge.base.errors import StateError
from lodge.base.units import parse_mib
from lodge.cli.confirming import add_yes_option, confirm
from lodge.cli.errors import UsageError
from lodge.cli.parallel import each_name
from lodge.cli.parser import Command, nearest
from lodge.cli.waiting import add_wait_options, carry_out
from lodge.client.errors import Answered

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS", "read_settings", "yes_or_no"]


def yes_or_no(text: str) -> bool:
    """Read a boolean as people write it.

    Raises:
        ValueError: neither.
    """
    word = text.strip().lower()
    if word in ("yes", "true", "on", "1"):
        return True
    if word in ("no", "false", "off", "0"):
        return False
    raise ValueError("write yes or no")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


_SETTINGS: Mapping[str, tuple[str, Callable[[str], Any], str]] = {
    "cpus": ("cpus", int, "virtual CPUs"),
    "cpu-model": ("cpu_model", str, "CPU model of QEMU, or auto"),
    "memory": ("memory_mib", parse_mib, "as in 2GiB; 512 is MiB"),
    "description": ("description", str, "for people"),
    "tags": ("tags", _words, "with commas; empty: none"),
    "firmware": ("boot", lambda text: {"firmware": text}, "bios, uefi or direct"),
    "on-crash": ("on_crash", str, "restart or stop"),
    "start-at-boot": ("starts_at_boot", yes_or_no, "yes or no"),
    "boot-order": ("boot_order", int, "low numbers start first"),
    "protected": ("is_protected", yes_or_no, "yes or no; yes refuses to delete it"),
}


def read_settings(pairs: list[str]) -> dict[str, Any]:
    """Turn ``key=value`` words into the body of a change.

    Raises:
        UsageError: an unknown key, or a value that does not fit it.
    """
    body: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        name = key.strip().replace("_", "-")
        if not sign:
            raise UsageError(f"{pair!r} is not key=value", hint="as in: lodge set web1 cpus=4")
        if name not in _SETTINGS:
            guess = nearest(name, list(_SETTINGS))
            more = f"did you mean {guess}?" if guess else f"keys: {', '.join(_SETTINGS)}"
            raise UsageError(f"there is no setting {name!r}", where=name, hint=more)
        field, read, meaning = _SETTINGS[name]
        try:
            body[field] = read(text)
        except ValueError:
            raise UsageError(f"{text!r} is not a value of {name}: {meaning}", where=name) from None
    return body


def _add_set(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which instance")
    keys = ", ".join(_SETTINGS)
    parser.add_argument("settings", metavar="KEY=VALUE", nargs="+", help=keys)
    parser.add_argument(
        "--revision", type=int, metavar="N", help="refuse if it was changed since this revision"
    )
    add_wait_options(parser)


def _set(invocation: Invocation, args: Namespace) -> int:
    import msgspec

    from lodge.model.requests import InstanceChange

    try:
        change = msgspec.convert(read_settings(args.settings), InstanceChange)
    except msgspec.ValidationError as error:
        raise UsageError(str(error)) from error
    return _finish(
        invocation,
        args,
        f"Changing {args.name}",
        lambda wait_s: invocation.client.instances.change(
            args.name, change, revision=args.revision, wait_s=wait_s
        ),
        f"{args.name}: changed",
    )


def _finish(
    invocation: Invocation,
    args: Namespace,
    title: str,
    start: Callable[[float | None], Any],
    said: str,
) -> int:
    task = carry_out(invocation, args, title, start)
    if args.format == "json":
        from lodge.cli.formats import to_json

        said = to_json(task)
    elif args.no_wait:
        said = task["id"]
    invocation.say(said)
    return 0


def _add_rename(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which instance")
    parser.add_argument("new_name", metavar="NEW_NAME", help="its new name")
    add_wait_options(parser)


def _rename(invocation: Invocation, args: Namespace) -> int:
    return _finish(
        invocation,
        args,
        f"Renaming {args.name}",
        lambda wait_s: invocation.client.instances.rename(args.name, args.new_name, wait_s=wait_s),
        f"{args.name} is now {args.new_name}",
    )


def _add_delete(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="+", help="which instances")
    parser.add_argument("--force", action="store_true", help="stop running ones first")
    add_yes_option(parser)
    add_wait_options(parser)


@contextmanager
def _force_hinted(name: str) -> Iterator[None]:
    """Say what deletes a running instance, where the daemon only says that it runs."""
    try:
        yield
    except StateError as error:
        if isinstance(error, Answered) and error.answered_code == "wrong_instance_state":
            error.hint = f"shut it down first, or: lodge delete {name} --force"
        raise


def _delete(invocation: Invocation, args: Namespace) -> int:
    what = f"{len(args.name)} instances" if len(args.name) > 1 else "instance"
    confirm(invocation, args, f"Delete {what} {', '.join(args.name)} and all data on the disks?")

    def act(name: str) -> Mapping[str, Any]:
        with _force_hinted(name):
            return delete(name)

    def delete(name: str) -> Mapping[str, Any]:
        return carry_out(
            invocation,
            args,
            f"Deleting {name}",
            lambda wait_s: invocation.client.instances.delete(
                name, is_forced=args.force, wait_s=wait_s
            ),
            is_quiet=len(args.name) > 1,
        )

    def tell(name: str, task: Mapping[str, Any]) -> None:
        if args.format == "json":
            from lodge.cli.formats import to_json

            invocation.say(to_json(task))
        else:
            invocation.say(f"{name}: task {task['id']}" if args.no_wait else f"{name}: deleted")

    return each_name(invocation, args.name, act, tell)


COMMANDS = (
    Command(
        "set",
        "Change settings of an instance",
        _add_set,
        _set,
        (
            "lodge set web1 cpus=4 memory=8GiB",
            "lodge set web1 protected=yes start-at-boot=yes description='shop, live'",
        ),
        "Change settings of an instance; cpus, memory, cpu-model and firmware need it stopped.",
    ),
    Command(
        "rename",
        "Give an instance another name",
        _add_rename,
        _rename,
        ("lodge rename web1 shop",),
    ),
    Command(
        "delete",
        "Delete instances with their disks",
        _add_delete,
        _delete,
        ("lodge delete web1", "lodge delete web1 web2 --force --yes"),
        "Delete instances with their disks. Protected ones are refused:"
        " lodge set NAME protected=no first.",
    ),
)

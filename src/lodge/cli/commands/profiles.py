"""``lodge profile``: reusable parts of instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lodge.cli.details import Facts
from lodge.cli.errors import LocalFileError, UsageError
from lodge.cli.human import human
from lodge.cli.inputs import read_text
from lodge.cli.parallel import each_name
from lodge.cli.parser import Command
from lodge.cli.records import list_command, show_command
from lodge.cli.rows import Column, Row

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]

COLUMNS = (
    Column("name"),
    Column("cpus", "spec.cpus", kind="number"),
    Column("memory", "spec.memory_mib", kind="mib"),
    Column("disk", "spec.disk_bytes", kind="bytes"),
    Column("networks", "spec.networks", can_shrink=True),
    Column("description", "spec.description", can_shrink=True),
    Column("age", "created_at", kind="age", is_default=False),
)

_FIELDS = (("Name", "name", "text"), ("Created", "created_at", "when"))
_KINDS = {"memory_mib": "mib", "disk_bytes": "bytes"}


def _list(invocation: Invocation, _args: Namespace) -> Sequence[Row]:
    items: Sequence[Row] = invocation.client.profiles.list()["items"]
    return items


def _spec(record: Mapping[str, Any], now: float) -> Facts:
    return [
        (
            name.removesuffix("_mib").removesuffix("_bytes").replace("_", " "),
            human(value, _KINDS.get(name, "text"), now),
        )
        for name, value in record["spec"].items()
        if value not in (None, "", [])
    ]


def _add_set(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="which profile; made when it is missing")
    parser.add_argument(
        "settings",
        metavar="KEY=VALUE",
        nargs="*",
        help="cpus, cpu-model, memory, disk, pool, networks, machine, firmware, on-crash,"
        " start-at-boot, tags, description; an empty value takes it out",
    )
    parser.add_argument(
        "--file",
        metavar="FILE",
        help="whole spec as YAML or JSON, replaces the profile; - is stdin",
    )


def _set(invocation: Invocation, args: Namespace) -> int:
    import msgspec

    from lodge.client.errors import RemoteNotFoundError
    from lodge.model.profile import ProfileSpec

    body: dict[str, Any] = {}
    revision = None
    if args.file is not None:
        body = _from_file(args.file)
    elif not args.settings:
        raise UsageError("nothing to set", hint="give KEY=VALUE or --file FILE")
    else:
        try:
            body = dict(invocation.client.profiles.get(args.name)["spec"])
        except RemoteNotFoundError:
            body = {}
    body.update(read_pairs(args.settings))
    try:
        spec = msgspec.convert(body, ProfileSpec)
    except msgspec.ValidationError as error:
        raise UsageError(f"not a profile: {error}") from error
    invocation.client.profiles.put(args.name, spec, revision=revision)
    invocation.say(f"{args.name}: set")
    return 0


def _from_file(path: str) -> dict[str, Any]:
    import yaml

    try:
        body = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise LocalFileError(f"{path} is not YAML: {error}", where=path) from error
    if not isinstance(body, dict):
        raise LocalFileError(f"{path} is not a list of fields and values", where=path)
    return body.get("spec", body) if isinstance(body.get("spec", body), dict) else body


def read_pairs(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn ``key=value`` words into fields of a profile; an empty value takes a field out.

    Raises:
        UsageError: an unknown key, or a value that does not fit.
    """
    from lodge.base.units import parse_mib, parse_size
    from lodge.cli.commands.change import yes_or_no
    from lodge.cli.parser import nearest

    def words(text: str) -> list[str]:
        return [word.strip() for word in text.split(",") if word.strip()]

    readers: dict[str, tuple[str, Any]] = {
        "cpus": ("cpus", int),
        "cpu-model": ("cpu_model", str),
        "memory": ("memory_mib", parse_mib),
        "disk": ("disk_bytes", parse_size),
        "pool": ("pool", str),
        "networks": ("networks", words),
        "machine": ("machine", str),
        "firmware": ("boot", lambda text: {"firmware": text}),
        "on-crash": ("on_crash", str),
        "start-at-boot": ("starts_at_boot", yes_or_no),
        "tags": ("tags", words),
        "description": ("description", str),
    }
    body: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        name = key.strip().replace("_", "-")
        if not sign or name not in readers:
            guess = nearest(name, list(readers))
            more = f"did you mean {guess}=...?" if guess else f"keys: {', '.join(readers)}"
            raise UsageError(f"{pair!r} is not a setting of a profile", where=name, hint=more)
        field, read = readers[name]
        try:
            body[field] = read(text) if text else ("" if field == "description" else None)
        except ValueError:
            raise UsageError(f"{text!r} is not a value of {name}", where=name) from None
    return body


def _add_delete(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="+", help="which profiles")


def _delete(invocation: Invocation, args: Namespace) -> int:
    return each_name(
        invocation,
        args.name,
        invocation.client.profiles.delete,
        lambda name, _nothing: invocation.say(f"{name}: deleted"),
    )


COMMANDS = (
    list_command("profile list", "List profiles", COLUMNS, _list, empty="no profiles yet"),
    show_command(
        "profile show",
        "Show everything about profiles",
        "PROFILE",
        _FIELDS,
        lambda invocation, name: invocation.client.profiles.get(name),
        example="lodge profile show default",
        more=_spec,
    ),
    Command(
        "profile set",
        "Create or change a profile",
        _add_set,
        _set,
        (
            "lodge profile set big cpus=8 memory=32GiB disk=200GiB",
            "lodge profile set web --file web.yaml",
        ),
        "Create or change a profile. Instances made from it before stay as they are.",
    ),
    Command(
        "profile delete", "Delete profiles", _add_delete, _delete, ("lodge profile delete big",)
    ),
)

"""What ``show`` prints: names and values by section, for one thing at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lodge.cli.human import NOTHING, duration, human, moment, plain
from lodge.cli.rows import dig
from lodge.cli.table import render_facts

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation

__all__ = ["Facts", "Field", "field_facts", "instance_details", "show_records", "when"]

Facts = list[tuple[str, str]]
Field = tuple[str, str, str]
"""Label, dotted path, kind as ``human`` knows it."""


def show_records(
    invocation: Invocation,
    args: Namespace,
    records: Sequence[Any],
    details: Callable[[Mapping[str, Any], float], Facts],
) -> int:
    """Write records as text, JSON or YAML; one alone is written without a list around it."""
    if args.format == "text":
        blocks = [
            render_facts(details(each, invocation.now()), invocation.style) for each in records
        ]
        invocation.say("\n\n".join(blocks))
        return 0
    from lodge.cli.formats import to_json, to_yaml

    value = records[0] if len(records) == 1 else list(records)
    invocation.say(to_json(value) if args.format == "json" else to_yaml(value))
    return 0


def field_facts(record: Mapping[str, Any], fields: Sequence[Field], now: float) -> Facts:
    """Read fields of a record; those without a value are left out."""
    facts = []
    for label, dotted, kind in fields:
        value = dig(record, dotted)
        text = when(value, now) if kind == "when" else human(value, kind, now)
        if text != NOTHING:
            facts.append((label, text))
    return facts


def when(at: Any, now: float) -> str:
    """Write a time and how long ago it was."""
    if at is None:
        return NOTHING
    age = now - float(at)
    relative = f"{duration(age)} ago" if age >= 0 else f"in {duration(-age)}"
    return f"{moment(float(at))} ({relative})"


_INSTANCE: tuple[Field, ...] = (
    ("Description", "spec.description", "text"),
    ("Tags", "spec.tags", "text"),
    ("Image", "image_name", "text"),
    ("CPUs", "spec.cpu.count", "number"),
    ("CPU model", "spec.cpu.model", "text"),
    ("Memory", "spec.memory_mib", "mib"),
    ("Machine", "machine_version", "text"),
    ("Firmware", "spec.boot.firmware", "text"),
    ("Accelerator", "status.accelerator", "text"),
    ("Agent answers", "status.agent_answers", "text"),
    ("Crashes", "status.crash_count", "number"),
    ("Starts at boot", "spec.starts_at_boot", "text"),
    ("Protected", "spec.is_protected", "text"),
    ("On crash", "spec.on_crash", "text"),
    ("Profiles", "spec.profiles", "text"),
    ("Created", "created_at", "when"),
    ("Tasks under way", "tasks", "text"),
    ("Id", "id", "text"),
)


def instance_details(record: Mapping[str, Any], now: float) -> Facts:
    """Return what there is to say about an instance."""
    state = str(record.get("state", ""))
    started = dig(record, "status.started_at")
    if started is not None and state in ("running", "paused"):
        state += f" for {duration(now - started)}"
    if reason := dig(record, "status.reason"):
        state += f" ({plain(reason)})"
    facts: Facts = [("Name", str(record["name"])), ("State", state)]
    addresses = dig(record, "status.addresses") or []
    if addresses:
        facts.append(("Addresses", "\n".join(map(str, addresses))))
    facts += field_facts(record, _INSTANCE[:6], now)
    facts += [("Disk", _disk(disk)) for disk in dig(record, "spec.disks") or []]
    facts += [("Nic", _nic(nic)) for nic in dig(record, "spec.nics") or []]
    return facts + field_facts(record, _INSTANCE[6:], now)


def _disk(disk: Mapping[str, Any]) -> str:
    read_only = ", read-only" if disk.get("is_read_only") else ""
    return f"{disk['name']}: volume {disk['pool']}/{disk['volume']} ({disk['bus']}{read_only})"


def _nic(nic: Mapping[str, Any]) -> str:
    parts = [nic.get("mac"), nic.get("ipv4"), nic.get("ipv6")]
    return f"{nic['name']}: network {nic['network']} {' '.join(p for p in parts if p)}".rstrip()

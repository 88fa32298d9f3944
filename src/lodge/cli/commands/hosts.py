"""``lodge host``: this machine and what it can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lodge.cli.details import show_records
from lodge.cli.human import NOTHING, duration, human
from lodge.cli.listing import add_listing_options, show_rows
from lodge.cli.parser import Command
from lodge.cli.rows import Column

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.details import Facts
    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]

COLUMNS = (
    Column("name"),
    Column("state", is_state=True),
    Column("found", can_shrink=True),
    Column("required", "is_required", is_default=False),
    Column("cost", is_default=False, can_shrink=True),
    Column("fix", is_default=False, can_shrink=True),
)


def _add_show(parser: Parser) -> None:
    parser.add_argument(
        "--format", choices=("text", "json", "yaml"), default="text", help="form (text)"
    )


def _details(host: Mapping[str, Any], now: float) -> Facts:
    return [
        ("Name", host["name"]),
        ("CPUs", str(host["cpus"])),
        (
            "Memory",
            f"{human(host['memory_mib'], 'mib', now)}, {_free(host, now)} free",
        ),
        ("Load", f"{host['load_1m']:.2f}"),
        ("Up for", duration(host["uptime_s"])),
        ("Kernel", host["kernel"]),
        ("Lodge", host["lodge_version"]),
        (
            "Accelerator",
            f"{host['accelerator']} ({host['accelerator_reason']})"
            if host["accelerator_reason"]
            else host["accelerator"],
        ),
        ("API", ", ".join(host.get("api_urls", ())) or NOTHING),
        ("Certificate", host.get("certificate_fingerprint") or NOTHING),
        ("Id", host["id"]),
    ]


def _free(host: Mapping[str, Any], now: float) -> str:
    return human(host["free_memory_mib"], "mib", now)


def _show(invocation: Invocation, args: Namespace) -> int:
    return show_records(invocation, args, [invocation.client.hosts.show()], _details)


def _add_check(parser: Parser) -> None:
    add_listing_options(parser, COLUMNS, sort="")


def _check(invocation: Invocation, args: Namespace) -> int:
    """List what was probed; the status is 1 when something required is missing."""
    rows = invocation.client.hosts.check()["items"]
    show_rows(invocation, args, rows, COLUMNS, empty="nothing was probed")
    lacking = [row for row in rows if row["state"] != "ok"]
    if args.format == "table":
        for row in lacking:
            lines = [f"{row['name']}:", f"  costs: {row['cost']}" if row["cost"] else ""]
            lines.append(f"  fix:   {row['fix']}" if row["fix"] else "")
            if row["cost"] or row["fix"]:
                invocation.say("\n" + "\n".join(line for line in lines if line))
    return int(any(row["is_required"] and row["state"] == "missing" for row in lacking))


COMMANDS = (
    Command("host show", "Show this machine", _add_show, _show, ("lodge host show",)),
    Command(
        "host check",
        "Probe what this machine can do, and what missing parts cost",
        _add_check,
        _check,
        ("lodge host check", "lodge host check --filter state!=ok"),
        "Probe what this machine can do, and what missing parts cost. Ends with status 1 when\n"
        "something required is missing.",
    ),
)

"""``lodge network``: segments with their own router, DHCP and DNS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lodge.base.errors import LodgeError
from lodge.cli.details import Facts
from lodge.cli.parser import Command
from lodge.cli.records import change_each, change_one, list_command, show_command
from lodge.cli.rows import Column, Row
from lodge.cli.waiting import add_wait_options

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]


def _state(row: Mapping[str, Any]) -> str:
    status = row.get("status") or {}
    return "up" if status.get("is_up") else "down"


COLUMNS = (
    Column("name"),
    Column("state", _state, is_state=True),
    Column("kind"),
    Column("ipv4"),
    Column("ipv6", can_shrink=True),
    Column("domain", can_shrink=True),
    Column("mtu", kind="number", is_default=False),
    Column("reason", "status.reason", is_default=False, can_shrink=True),
    Column("description", is_default=False, can_shrink=True),
    Column("age", "created_at", kind="age"),
    Column("id", is_default=False),
)

_FIELDS = (
    ("Name", "name", "text"),
    ("Kind", "kind", "text"),
    ("IPv4 gateway", "ipv4", "text"),
    ("IPv6 gateway", "ipv6", "text"),
    ("Domain", "domain", "text"),
    ("MTU", "mtu", "text"),
    ("Works", "status.is_up", "text"),
    ("DNS answers", "status.dns_answers", "text"),
    ("Reason", "status.reason", "text"),
    ("Description", "description", "text"),
    ("Created", "created_at", "when"),
    ("Id", "id", "text"),
)


def _with_status(invocation: Invocation, network: Mapping[str, Any]) -> Row:
    """Add a network's status; one that cannot be asked hides none of the others."""
    try:
        status = invocation.client.networks.status(network["name"])
    except LodgeError as error:
        status = {"is_up": False, "dns_answers": False, "reason": error.message}
    return {**network, "status": status}


def _list(invocation: Invocation, _args: Namespace) -> Sequence[Row]:
    networks = invocation.client.networks.list()["items"]
    return [_with_status(invocation, network) for network in networks]


def _get(invocation: Invocation, name: str) -> Mapping[str, Any]:
    network = _with_status(invocation, invocation.client.networks.get(name))
    return {**network, "leases": invocation.client.networks.leases(name)["items"]}


def _leases(record: Mapping[str, Any], _now: float) -> Facts:
    return [
        (
            "Lease",
            " ".join(
                str(part)
                for part in (
                    f"{lease['instance']}/{lease['nic']}:",
                    lease.get("ipv4"),
                    lease.get("ipv6"),
                    lease["mac"],
                )
                if part
            ),
        )
        for lease in record["leases"]
    ]


def _add_create(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the new network")
    parser.add_argument("--kind", choices=("nat", "isolated"), default="nat", help="(nat)")
    parser.add_argument("--ipv4", metavar="ADDRESS/LENGTH", help="gateway; chosen when left out")
    parser.add_argument("--ipv6", metavar="ADDRESS/LENGTH", help="gateway; chosen when left out")
    parser.add_argument("--domain", metavar="NAME", help="names of instances end with it")
    parser.add_argument("--mtu", type=int, default=1500, metavar="N", help="packet size (1500)")
    parser.add_argument("--description", default="", metavar="TEXT", help="for people")
    add_wait_options(parser)


def _create(invocation: Invocation, args: Namespace) -> int:
    from lodge.model.network import NetworkCreate, NetworkKind

    request = NetworkCreate(
        name=args.name,
        kind=NetworkKind(args.kind),
        ipv4=args.ipv4,
        ipv6=args.ipv6,
        domain=args.domain,
        mtu=args.mtu,
        description=args.description,
    )

    def said(task: Mapping[str, Any]) -> str:
        gateway = (task.get("result") or {}).get("ipv4")
        return f"{args.name}: created" + (f", gateway {gateway}" if gateway else "")

    return change_one(
        invocation,
        args,
        f"Creating {args.name}",
        lambda wait_s: invocation.client.networks.create(request, wait_s=wait_s),
        said,
    )


COMMANDS = (
    list_command("network list", "List networks", COLUMNS, _list, empty="no networks yet"),
    show_command(
        "network show",
        "Show everything about networks, with their leases",
        "NETWORK",
        _FIELDS,
        _get,
        example="lodge network show default",
        more=_leases,
    ),
    Command(
        "network create",
        "Create a network",
        _add_create,
        _create,
        (
            "lodge network create lab",
            "lodge network create backend --kind isolated --ipv4 10.20.0.1/24",
        ),
    ),
    change_each(
        "network delete",
        "Delete networks that no instance uses",
        "NETWORK",
        lambda invocation, name, wait_s: invocation.client.networks.delete(name, wait_s=wait_s),
        doing="Deleting",
        done="deleted",
        example="lodge network delete lab",
    ),
)

"""``lodge task``: what is being changed, and what was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lodge.cli.details import Facts
from lodge.cli.human import plain
from lodge.cli.parallel import each_name
from lodge.cli.parser import Command
from lodge.cli.records import list_command, show_command
from lodge.cli.rows import Column, Row, dig
from lodge.cli.waiting import await_task

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["COMMANDS"]


def _seconds(row: Mapping[str, Any]) -> float | None:
    if row.get("started_at") is None or row.get("ended_at") is None:
        return None
    return float(row["ended_at"]) - float(row["started_at"])


COLUMNS = (
    Column("id"),
    Column("kind"),
    Column("target", can_shrink=True),
    Column("state", is_state=True),
    Column("age", "created_at", kind="age"),
    Column("took", _seconds, kind="seconds"),
    Column("actor", "actor.name"),
    Column("error", "error.message", is_default=False, can_shrink=True),
    Column("attempts", kind="number", is_default=False),
)

_FIELDS = (
    ("Id", "id", "text"),
    ("Kind", "kind", "text"),
    ("Target", "target", "text"),
    ("State", "state", "text"),
    ("Created", "created_at", "when"),
    ("Started", "started_at", "when"),
    ("Ended", "ended_at", "when"),
    ("Attempts", "attempts", "text"),
    ("Asked by", "actor.name", "text"),
    ("Through", "actor.via", "text"),
    ("From", "actor.address", "text"),
    ("Reasons", "actor.reasons", "text"),
    ("Trace", "actor.trace", "text"),
)


def _more(record: Mapping[str, Any], _now: float) -> Facts:
    facts = [("Step", f"{step['name']}: {step['state']}") for step in record.get("steps") or ()]
    if record.get("result"):
        facts.append(("Result", plain(record["result"])))
    if record.get("error"):
        facts.append(("Error", plain(dig(dict(record), "error.message"))))
        if hint := dig(dict(record), "error.hint"):
            facts.append(("Hint", plain(hint)))
    return facts


def _list(invocation: Invocation, args: Namespace) -> Sequence[Row]:
    items: Sequence[Row] = invocation.client.tasks.list(limit=args.limit)["items"]
    return items


def _add_limit(parser: Parser) -> None:
    parser.add_argument("--limit", type=int, metavar="N", help="look only at the newest ones")


def _add_follow(parser: Parser) -> None:
    parser.add_argument("name", metavar="TASK", help="which task")
    parser.add_argument("--wait-timeout", type=float, metavar="SECONDS", help="stop waiting")


def _follow(invocation: Invocation, args: Namespace) -> int:
    task = invocation.client.tasks.get(args.name)
    title = f"{task['kind']} {task['target']}"
    done = await_task(invocation, args.name, title, timeout_s=args.wait_timeout)
    invocation.say(f"{args.name}: {done['state']}")
    return 0


def _add_cancel(parser: Parser) -> None:
    parser.add_argument("name", metavar="TASK", nargs="+", help="which tasks")


def _cancel(invocation: Invocation, args: Namespace) -> int:
    def tell(name: str, task: Mapping[str, Any]) -> None:
        is_over = task["state"] in ("done", "failed", "cancelled")
        invocation.say(
            f"{name}: {task['state'] if is_over else 'asked to end; it undoes its steps'}"
        )

    return each_name(invocation, args.name, invocation.client.tasks.cancel, tell)


COMMANDS = (
    list_command(
        "task list",
        "List tasks, newest first",
        COLUMNS,
        _list,
        empty="no tasks yet",
        add=_add_limit,
        sort="-age",
        examples=("lodge task list --filter state=running", "lodge task list --limit 20"),
    ),
    show_command(
        "task show",
        "Show everything about tasks",
        "TASK",
        _FIELDS,
        lambda invocation, name: invocation.client.tasks.get(name),
        example="lodge task show TASK",
        more=_more,
    ),
    Command(
        "task follow",
        "Wait for a task and show its progress",
        _add_follow,
        _follow,
        ("lodge task follow TASK",),
    ),
    Command("task cancel", "Ask tasks to end", _add_cancel, _cancel, ("lodge task cancel TASK",)),
)

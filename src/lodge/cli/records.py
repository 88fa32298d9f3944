"""Listing, showing and changing records of any noun: what the groups of commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lodge.cli.confirming import add_yes_option, confirm
from lodge.cli.details import Facts, Field, field_facts, show_records
from lodge.cli.listing import add_listing_options, show_rows
from lodge.cli.parallel import each_name
from lodge.cli.parser import Command
from lodge.cli.rows import Column, Row
from lodge.cli.waiting import add_wait_options, carry_out

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["change_each", "change_one", "list_command", "show_command", "tell_task"]


def list_command(  # noqa: PLR0913 (a list has that many traits)
    name: str,
    summary: str,
    columns: Sequence[Column],
    fetch: Callable[[Invocation, Namespace], Sequence[Row]],
    *,
    empty: str,
    add: Callable[[Parser], None] | None = None,
    sort: str = "name",
    examples: tuple[str, ...] = (),
) -> Command:
    """Make a command that lists."""

    def add_all(parser: Parser) -> None:
        if add is not None:
            add(parser)
        add_listing_options(parser, columns, sort=sort)

    def run(invocation: Invocation, args: Namespace) -> int:
        return show_rows(invocation, args, fetch(invocation, args), columns, empty=empty)

    return Command(name, summary, add_all, run, examples or (f"lodge {name}",))


def show_command(  # noqa: PLR0913 (likewise)
    name: str,
    summary: str,
    metavar: str,
    fields: Sequence[Field],
    fetch: Callable[[Invocation, str], Mapping[str, Any]],
    *,
    example: str,
    more: Callable[[Mapping[str, Any], float], Facts] | None = None,
) -> Command:
    """Make a command that shows things one by one."""

    def add(parser: Parser) -> None:
        parser.add_argument("name", metavar=metavar, nargs="+", help="which ones")
        parser.add_argument(
            "--format", choices=("text", "json", "yaml"), default="text", help="form (text)"
        )

    def details(record: Mapping[str, Any], now: float) -> Facts:
        return field_facts(record, fields, now) + (more(record, now) if more else [])

    def run(invocation: Invocation, args: Namespace) -> int:
        records = [fetch(invocation, each) for each in args.name]
        return show_records(invocation, args, records, details)

    return Command(name, summary, add, run, (example,))


def change_one(
    invocation: Invocation,
    args: Namespace,
    title: str,
    start: Callable[[float | None], Any],
    said: Callable[[Mapping[str, Any]], str],
) -> int:
    """Carry out one change and say what came of it."""
    task = carry_out(invocation, args, title, start)
    tell_task(invocation, args, task, said)
    return 0


def tell_task(
    invocation: Invocation,
    args: Namespace,
    task: Mapping[str, Any],
    said: Callable[[Mapping[str, Any]], str],
) -> None:
    """Write a finished task as a sentence, one that was not waited for as its id, or as JSON."""
    if args.format == "json":
        from lodge.cli.formats import to_json

        invocation.say(to_json(task))
        return
    invocation.say(str(task["id"]) if args.no_wait else said(task))


def change_each(  # noqa: PLR0913 (a verb has that many traits)
    name: str,
    summary: str,
    metavar: str,
    start: Callable[[Invocation, str, float | None], Any],
    *,
    doing: str,
    done: str,
    example: str,
    question: str | None = None,
) -> Command:
    """Make a command that does one thing to several names; ``question``: what it asks before."""

    def add(parser: Parser) -> None:
        parser.add_argument("name", metavar=metavar, nargs="+", help="which ones")
        if question is not None:
            add_yes_option(parser)
        add_wait_options(parser)

    def run(invocation: Invocation, args: Namespace) -> int:
        if question is not None:
            confirm(invocation, args, question.format(", ".join(args.name)))

        def act(each: str) -> Mapping[str, Any]:
            return carry_out(
                invocation,
                args,
                f"{doing} {each}",
                lambda wait_s: start(invocation, each, wait_s),
                is_quiet=len(args.name) > 1,
            )

        def tell(each: str, task: Mapping[str, Any]) -> None:
            tell_task(invocation, args, task, lambda _task: f"{each}: {done}")

        return each_name(invocation, args.name, act, tell)

    return Command(name, summary, add, run, (example,))

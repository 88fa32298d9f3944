"""What all listings share: their options, and how rows become output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lodge.cli.human import human
from lodge.cli.rows import Column, Row, choose_columns, keep_rows, sort_rows
from lodge.cli.table import Heading, render_table

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["add_listing_options", "render_rows", "show_rows"]


def add_listing_options(parser: Parser, columns: Sequence[Column], *, sort: str = "name") -> None:
    """Add ``--format``, ``--filter``, ``--sort`` and ``--columns``."""
    names = ", ".join(column.name for column in columns)
    options = parser.add_argument_group("options of every list", f"columns: {names}")
    options.add_argument(
        "--format", choices=("table", "json", "yaml", "csv"), default="table", help="form (table)"
    )
    options.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="keep matching rows; also != ~ (contains) < <= > >=; repeat: all must hold",
    )
    options.add_argument(
        "--sort", default=sort, metavar="FIELD", help=f"order, as in -age,name ({sort})"
    )
    options.add_argument(
        "--columns",
        metavar="FIELD,...",
        help="what to show: columns, 'all', or dotted paths as in --format json",
    )


def show_rows(
    invocation: Invocation,
    args: Namespace,
    rows: Sequence[Row],
    columns: Sequence[Column],
    *,
    empty: str,
) -> int:
    """Write a list in the form asked for; an empty table is told on stderr."""
    rows = sort_rows(keep_rows(rows, columns, args.filter), columns, args.sort)
    if args.format == "table" and not rows:
        invocation.tell("nothing matches" if args.filter else empty)
        return 0
    chosen = choose_columns(columns, args.columns, rows)
    if args.format != "table":
        from lodge.cli.formats import pick, to_csv, to_json, to_yaml

        if args.format == "csv":
            invocation.say(to_csv(rows, chosen))
            return 0
        records = list(rows) if args.columns is None else pick(rows, chosen)
        invocation.say(to_json(records) if args.format == "json" else to_yaml(records))
        return 0
    invocation.say(render_rows(invocation, rows, chosen))
    return 0


def render_rows(invocation: Invocation, rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Render rows as a table that fits the terminal."""
    now = invocation.now()
    headings = [
        Heading(
            column.name.replace("_", " ").upper(),
            is_right=column.is_right,
            can_shrink=column.can_shrink,
            is_state=column.is_state,
        )
        for column in columns
    ]
    cells = [[human(column.value(row), column.kind, now) for column in columns] for row in rows]
    return render_table(headings, cells, width=invocation.width, style=invocation.style)

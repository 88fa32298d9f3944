"""Records as JSON, YAML and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lodge.cli.human import moment
from lodge.cli.rows import Column, Row, raw_value

__all__ = ["pick", "to_csv", "to_json", "to_yaml"]


def pick(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Reduce records to some columns, values as they are."""
    return [{column.name: column.value(row) for column in columns} for row in rows]


def to_json(value: Any) -> str:
    """Write JSON for people and programs alike: indented, in the daemon's order."""
    import json

    return json.dumps(value, indent=2, ensure_ascii=False)


def to_yaml(value: Any) -> str:
    """Write YAML in the daemon's order; texts of several lines as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (the base class calls it)
            return True

    def write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        block = "|" if "\n" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=block)

    Dumper.add_representer(str, write_text)
    written = yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)
    return str(written).removesuffix("\n...\n").rstrip("\n")


def to_csv(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Write CSV (RFC 4180 quoting, bare line feeds): sizes and seconds as bare numbers.

    Times are ISO 8601 in UTC. A text that a spreadsheet would take for a formula is kept as it is:
    this is data, and what opens it must not run it.
    """
    lines = [",".join(column.name for column in columns)]
    for row in rows:
        lines.append(",".join(_cell(column, row) for column in columns))
    return "\n".join(lines)


def _cell(column: Column, row: Row) -> str:
    value = column.value(row)
    if column.kind in ("age", "until") and value is not None:
        text = moment(float(value))
    else:
        text = raw_value(value)
    if any(c in text for c in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text

"""``python -m bench [NAME...] [--runs N] [--json FILE]``: measure, print a table, write JSON.

Nothing here judges by the clock: the exit status tells only whether the benchmarks could run.
"""

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figure import Figure

NAMES = ("start_stop", "many", "create", "listing", "command", "idle", "faults", "fuzz")
"""What runs when nothing is named; ``idle_ten_thousand`` runs only by name."""
ALL_NAMES = (*NAMES, "idle_ten_thousand")
LEAST_RUNS = 7


def main() -> int:
    """Run what was asked for."""
    args = _parser().parse_args()
    figures: list[Figure] = []
    failed = []
    for name in args.names or NAMES:
        module = importlib.import_module(f"bench.promises.{name}")
        print(f"# {name}", file=sys.stderr, flush=True)
        try:
            found = module.measure(args.runs)
        except Exception as error:  # one that cannot run here must not hide the others
            failed.append(name)
            print(f"{name} could not run: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        figures.extend(found)
        print(table(found), flush=True)
    if args.json:
        facts = {"machine": machine(), "figures": [figure.facts() for figure in figures]}
        args.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *ALL_NAMES], metavar="NAME")
    parser.add_argument("--runs", type=int, default=LEAST_RUNS, help="rounds of each (7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    return parser


def table(figures: Sequence[Figure]) -> str:
    """Write figures in columns."""
    words = {True: "kept", False: "missed", None: ""}
    rows = [("#", "what", "median [min-max]", "unit", "promised", "")]
    rows += [
        (str(f.promise), f.what, f.spread(), f.unit, f.told_limit(), words[f.is_kept])
        for f in figures
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def machine() -> dict[str, Any]:
    """Say what the figures were seen on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "seen_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


if __name__ == "__main__":
    sys.exit(main())

"""Write the reference pages from the code: ``generate.py``; ``--check`` only compares.

With ``--check`` the exit status is 1 and every stale page is named when one is.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from generator.pages import pages

__all__ = ["FOLDER", "main", "stale", "write"]

FOLDER = Path(__file__).resolve().parent / "reference"


def stale(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Name the pages that are missing, differ from what the code says, or belong to nothing."""
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    differing = {
        name
        for name, text in wanted.items()
        if name not in found or (folder / name).read_text(encoding="utf-8") != text
    }
    return sorted(differing | (found - wanted.keys()))


def write(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Bring the folder to what the code says; name what was changed. Idempotent."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = stale(folder, wanted)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def main(argv: Sequence[str] | None = None, *, folder: Path = FOLDER) -> int:
    """Write or check; returns the exit status."""
    parser = argparse.ArgumentParser(description="Write the reference pages from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing, fail when stale")
    is_check = parser.parse_args(argv).check
    wanted = pages()
    changed = stale(folder, wanted) if is_check else write(folder, wanted)
    for name in changed:
        sys.stdout.write(f"docs/reference/{name}: {'stale' if is_check else 'written'}\n")
    if is_check and changed:
        sys.stdout.write("bring them up to date with: make docs\n")
        return 1
    if not changed:
        sys.stdout.write("docs/reference: up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

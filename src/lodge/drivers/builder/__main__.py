"""Build one image without a daemon: ``python -m lodge.drivers.builder RECIPE FOLDER``."""

import asyncio
import sys
from pathlib import Path

from lodge.base.errors import LodgeError
from lodge.base.world import RealWorld
from lodge.drivers.builder.registry import RECIPES, load_builder

__all__ = ["main"]


def _tell(done: int, total: int | None, note: str) -> None:
    sys.stderr.write(f"{done:3d}/{total or 100} {note}\n")


def main(arguments: list[str]) -> int:
    """Build, list the files made on standard output, and return an exit status."""
    if len(arguments) != 2:
        sys.stderr.write(f"usage: python -m lodge.drivers.builder {'|'.join(RECIPES)} FOLDER\n")
        return 2
    recipe, folder = arguments[0], Path(arguments[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        builder = load_builder(recipe, RealWorld())
        built = asyncio.run(builder.build(recipe, folder, _tell))
    except LodgeError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return 1
    for path in (built.disk, built.kernel, built.initrd, built.vmlinux):
        if path is not None:
            sys.stdout.write(f"{path}\n")
    sys.stdout.write(f"command line: {built.command_line}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

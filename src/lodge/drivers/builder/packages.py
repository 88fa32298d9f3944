"""Distribution packages from the host's own apt, unpacked without being installed."""

import re
from collections.abc import Sequence
from pathlib import Path

from lodge.drivers.builder.errors import BuildFailedError
from lodge.system import process

__all__ = ["dependencies", "fetch", "libraries", "parse_depends", "unpack"]

_DOWNLOAD_LIMIT_S = 1800.0
_LIBRARY = re.compile(r"z?lib(?!.*perl)")


def parse_depends(text: str) -> list[str]:
    r"""Read the package names behind ``Depends:`` from what ``apt-cache depends`` prints.

    >>> parse_depends("a\n  Depends: b\n |Depends: c\n  Depends: <d>\n    e\n")
    ['b', 'c']
    """
    found = []
    for line in text.splitlines():
        relation, _, name = line.strip(" |").partition(": ")
        if relation in ("Depends", "PreDepends") and not name.startswith("<"):
            found.append(name.strip())
    return list(dict.fromkeys(found))


async def dependencies(names: Sequence[str]) -> list[str]:
    """List what packages depend on directly.

    Raises:
        BuildFailedError: apt knows no such package.
    """
    answer = await process.run(["apt-cache", "depends", *names], is_checked=False)
    if answer.exit_status != 0:
        raise BuildFailedError(
            f"apt knows no package among {', '.join(names)}", hint="run apt-get update first"
        )
    return parse_depends(answer.stdout.decode(errors="replace"))


async def libraries(names: Sequence[str]) -> list[str]:
    """List the library packages that packages need, directly or through each other."""
    known: list[str] = []
    front = list(names)
    while front:
        needed = await dependencies(front)
        front = [name for name in needed if _LIBRARY.match(name) and name not in known]
        known.extend(front)
    return known


async def fetch(names: Sequence[str], folder: Path) -> list[Path]:
    """Download packages into a folder; apt checks their signatures and sizes.

    Raises:
        BuildFailedError: apt could not get one of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answer = await process.run(
        ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names],
        cwd=folder,
        timeout_s=_DOWNLOAD_LIMIT_S,
        is_checked=False,
    )
    if answer.exit_status != 0:
        said = answer.stderr.decode(errors="replace").strip()[-1000:]
        raise BuildFailedError(
            f"apt could not download {', '.join(names)}: {said}", hint="run apt-get update first"
        )
    return sorted(folder.glob("*.deb"))


async def unpack(package: Path, folder: Path) -> None:
    """Unpack a package's files, without running any of its scripts."""
    folder.mkdir(parents=True, exist_ok=True)
    await process.run(["dpkg-deb", "--extract", package, folder], timeout_s=300.0)

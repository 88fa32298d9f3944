"""nftables through its own program and its own text: the parser that people read and trust."""

from pathlib import Path

import msgspec

from lodge.system.errors import ProgramFailedError
from lodge.system.process import Completed, run

__all__ = ["delete_table", "list_chains", "list_table", "load"]

_TIMEOUT_S = 30.0


def _argv(namespace: Path | None, *arguments: str) -> list[str]:
    """Prefix with nsenter(1) where another network namespace is meant."""
    entered = [] if namespace is None else ["nsenter", f"--net={namespace}"]
    return [*entered, "nft", *arguments]


async def load(text: str, *, namespace: Path | None = None) -> None:
    """Apply a rule set text in one transaction: all of it or nothing.

    Raises:
        ProgramMissingError: nft is not installed.
        ProgramFailedError: the text is refused; nothing was changed.
    """
    await run(_argv(namespace, "-f", "-"), stdin=text.encode(), timeout_s=_TIMEOUT_S)


async def list_table(family: str, table: str, *, namespace: Path | None = None) -> str | None:
    """Return the rules of one table as the kernel has them, or null when there is none.

    Raises:
        ProgramFailedError: nft failed for another reason.
    """
    argv = _argv(namespace, "--stateless", "list", "table", family, table)
    seen = await run(argv, timeout_s=_TIMEOUT_S, is_checked=False)
    if seen.exit_status == 0:
        return seen.stdout.decode()
    if b"No such file or directory" in seen.stderr:
        return None
    raise _failed(seen)


async def delete_table(family: str, table: str, *, namespace: Path | None = None) -> None:
    """Remove one table; nothing happens when it is not there."""
    # "table" makes it where it is missing, so that the delete in the same transaction succeeds.
    await load(f"table {family} {table}\ndelete table {family} {table}\n", namespace=namespace)


async def list_chains() -> list[dict[str, object]]:
    """List the chains of all tables of this namespace, as libnftables-json(5) describes them."""
    seen = await run(_argv(None, "--json", "list", "chains"), timeout_s=_TIMEOUT_S)
    listing = msgspec.json.decode(seen.stdout, type=dict[str, list[dict[str, dict[str, object]]]])
    return [entry["chain"] for entry in listing.get("nftables", []) if "chain" in entry]


def _failed(seen: Completed) -> ProgramFailedError:
    said = seen.stderr.decode(errors="replace").strip()
    return ProgramFailedError(f"nft failed: {said}", where="nft", exit_status=seen.exit_status)

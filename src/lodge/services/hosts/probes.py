"""What the checks share: the place they try things in, and short ways to tell what they found."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lodge.model.host import Capability, CapabilityState
from lodge.system.cgroup import Cgroups
from lodge.system.errors import ProgramFailedError, ProgramMissingError, ProgramTimeoutError
from lodge.system.process import run

__all__ = ["Ground", "Probe", "degraded", "missing", "ok", "refusal"]

_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the checks try things: the daemon's state folder and its control groups."""

    state_dir: Path
    cgroups: Cgroups


Probe = Callable[[Ground], Awaitable[Sequence[Capability]]]
"""Tries something for real, leaves nothing behind, and never touches the host's own network."""


def ok(name: str, found: str, *, is_required: bool = False) -> Capability:
    """Say that something works."""
    return Capability(name=name, state=CapabilityState.OK, found=found, is_required=is_required)


def degraded(name: str, found: str, *, cost: str, fix: str) -> Capability:
    """Say that something works, but not as well as it could."""
    return Capability(name=name, state=CapabilityState.DEGRADED, found=found, cost=cost, fix=fix)


def missing(name: str, found: str, *, cost: str, fix: str, is_required: bool = False) -> Capability:
    """Say that something does not work, what is lost, and how to get it."""
    return Capability(
        name=name,
        state=CapabilityState.MISSING,
        found=found,
        cost=cost,
        fix=fix,
        is_required=is_required,
    )


async def refusal(argv: Sequence[str], *, stdin: bytes | None = None) -> str | None:
    """Run a program; null when it succeeded, else why it did not."""
    try:
        await run(argv, stdin=stdin, timeout_s=_LIMIT_S)
    except (ProgramMissingError, ProgramFailedError, ProgramTimeoutError) as error:
        return error.message
    return None

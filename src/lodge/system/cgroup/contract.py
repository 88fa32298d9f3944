"""What Lodge wants of control groups, whatever version of them the host has.

All calls are short writes and reads of kernel files, so they are plain functions. Groups are named
by the caller (an instance's id) and live under one prefix, so that several simulated hosts on one
machine keep apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lodge.system.process import ProcessIdentity

__all__ = ["WANTED", "Cgroups", "Layout", "Limits", "Usage"]

WANTED = frozenset({"cpu", "cpuset", "memory", "pids"})
"""Controllers that limits need; without one the limit is not kept, everything else works."""


class Layout(StrEnum):
    """How the host's control groups are arranged."""

    V2 = "v2"  # one tree for everything
    V1 = "v1"  # a tree per controller; an empty v2 tree beside them ("hybrid") changes nothing
    NONE = "none"  # none that Lodge may write to


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits of one group; null: no limit.

    ``cpu_weight`` is the share under contention, 1 to 10000, 100 is normal (the scale of v2).
    ``cpu_quota`` is CPU time per time: 1.5 is one and a half CPUs. ``pinned_cpus`` are the only
    CPUs its threads run on.
    """

    cpu_weight: int | None = None
    cpu_quota: float | None = None
    pinned_cpus: frozenset[int] | None = None
    memory_bytes: int | None = None
    pids: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a group used: CPU seconds since it was made, memory now, processes and threads now.

    Null: the controller that counts it is missing. ``oom_kills`` counts processes the kernel
    killed because of the group's memory limit.
    """

    cpu_s: float | None
    memory_bytes: int | None
    pids: int
    oom_kills: int


class Cgroups(Protocol):
    """Groups under one prefix. Errors: ``CgroupError``."""

    @property
    def layout(self) -> Layout:
        """How the host's groups are arranged."""
        ...

    @property
    def controllers(self) -> frozenset[str]:
        """Which of ``WANTED`` work for Lodge's groups."""
        ...

    @property
    def reason(self) -> str:
        """Why controllers are missing, in words; empty when none is."""
        ...

    def create(self, name: str) -> None:
        """Make a group; idempotent."""
        ...

    def add(self, name: str, pid: int) -> None:
        """Move a process with all its threads into the group, for every controller."""
        ...

    def start_in(self, name: str, start: Callable[[], ProcessIdentity]) -> ProcessIdentity:
        """Start a process in the group; blocks for a few milliseconds.

        Args:
            name: a group that exists.
            start: starts it and returns; called once, perhaps in another thread.
        """
        ...

    def apply(self, name: str, limits: Limits) -> frozenset[str]:
        """Set all limits, null ones to none; returns the controllers that were needed but lack."""
        ...

    def usage(self, name: str) -> Usage | None:
        """Read what it used; null when the group does not exist."""
        ...

    def freeze(self, name: str) -> None:
        """Ask the kernel to stop every process of it; ``is_frozen`` tells when they all are."""
        ...

    def thaw(self, name: str) -> None:
        """Let them run again."""
        ...

    def is_frozen(self, name: str) -> bool:
        """Whether every process of it stands still."""
        ...

    def members(self, name: str) -> tuple[int, ...]:
        """Its pids; empty when the group does not exist."""
        ...

    def names(self) -> tuple[str, ...]:
        """Groups that exist under the prefix, for finding leftovers."""
        ...

    def kill(self, name: str) -> None:
        """Send SIGKILL to every member, frozen ones included; does not wait."""
        ...

    def remove(self, name: str) -> bool:
        """Remove the group; false while a process is still in it. Idempotent."""
        ...

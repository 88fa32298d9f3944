"""No usable control groups: everything is accepted, nothing is limited, and it says so."""

from collections.abc import Callable

from lodge.system.cgroup.contract import WANTED, Layout, Limits, Usage
from lodge.system.process import ProcessIdentity

__all__ = ["NoCgroups"]


class NoCgroups:
    """Stand in where the host gives Lodge no control groups; ``reason`` tells why."""

    layout = Layout.NONE
    controllers: frozenset[str] = frozenset()

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def create(self, _name: str) -> None:
        """Make nothing."""

    def add(self, _name: str, _pid: int) -> None:
        """Move nothing."""

    def start_in(self, _name: str, start: Callable[[], ProcessIdentity]) -> ProcessIdentity:
        """Start it where the daemon is."""
        return start()

    def apply(self, _name: str, limits: Limits) -> frozenset[str]:
        """Set nothing; name what was wanted."""
        wanted = {
            "cpu": limits.cpu_weight or limits.cpu_quota,
            "cpuset": limits.pinned_cpus,
            "memory": limits.memory_bytes,
            "pids": limits.pids,
        }
        return frozenset(name for name in WANTED if wanted[name] is not None)

    def usage(self, _name: str) -> Usage | None:
        """Nobody counts."""
        return None

    def freeze(self, _name: str) -> None:
        """Stop nothing."""

    def thaw(self, _name: str) -> None:
        """Wake nothing."""

    def is_frozen(self, _name: str) -> bool:
        """Nothing ever is."""
        return False

    def members(self, _name: str) -> tuple[int, ...]:
        """Nobody is known."""
        return ()

    def names(self) -> tuple[str, ...]:
        """No group exists."""
        return ()

    def kill(self, _name: str) -> None:
        """Nobody is known."""

    def remove(self, _name: str) -> bool:
        """It is gone already."""
        return True

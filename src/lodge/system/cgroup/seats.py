"""Put processes into groups of their own: what drivers need of control groups, and no more."""

from contextlib import suppress

from lodge.system.cgroup.contract import Cgroups
from lodge.system.cgroup.errors import CgroupError
from lodge.system.process import ProcessIdentity, is_alive

__all__ = ["CgroupSeats"]


class CgroupSeats:
    """One group per name in ``groups``."""

    def __init__(self, groups: Cgroups) -> None:
        self._groups = groups

    def seat(self, name: str, process: ProcessIdentity) -> None:
        """Put a process into the group of that name, making it; idempotent.

        A process that has ended meanwhile is no error: whoever started it sees that anyway.

        Raises:
            CgroupError: the kernel refused.
        """
        self._groups.create(name)
        try:
            self._groups.add(name, process.pid)
        except CgroupError:
            if is_alive(process):
                raise

    def clear(self, name: str) -> None:
        """Kill what is left in the group and remove it; idempotent.

        A member that takes long to die keeps the group in being until it is cleared again.
        """
        if not self._groups.remove(name):
            with suppress(CgroupError):
                self._groups.kill(name)
            self._groups.remove(name)

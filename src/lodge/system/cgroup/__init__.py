"""Control groups: limits and usage per instance, on cgroup v1 and v2."""

from lodge.system.cgroup.contract import WANTED, Cgroups, Layout, Limits, Usage
from lodge.system.cgroup.detect import open_cgroups
from lodge.system.cgroup.ending import clear
from lodge.system.cgroup.errors import CgroupError

__all__ = [
    "WANTED",
    "CgroupError",
    "Cgroups",
    "Layout",
    "Limits",
    "Usage",
    "clear",
    "open_cgroups",
]

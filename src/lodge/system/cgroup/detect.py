"""Find out which control groups this host has, and open the right writer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lodge.system.cgroup.absent import NoCgroups
from lodge.system.cgroup.contract import Cgroups
from lodge.system.cgroup.errors import CgroupError
from lodge.system.cgroup.v1 import CgroupsV1
from lodge.system.cgroup.v2 import CgroupsV2

__all__ = ["CgroupMounts", "open_cgroups", "parse_mounts"]

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class CgroupMounts:
    """Where control groups are mounted: each v1 controller, and the v2 tree."""

    v1: Mapping[str, Path]
    v2: Path | None


def parse_mounts(mountinfo: str) -> CgroupMounts:
    r"""Read ``/proc/self/mountinfo`` (proc(5)); the first mount of a kind counts.

    >>> parse_mounts("41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw").v2
    PosixPath('/sys/fs/cgroup')
    """
    v1: dict[str, Path] = {}
    v2: Path | None = None
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        fields, kind = mount.split(), source.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        place = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        if kind[0] == "cgroup2":
            v2 = v2 or place
        elif kind[0] == "cgroup":
            for controller in kind[2].split(","):
                v1.setdefault(controller, place)
    return CgroupMounts(v1, v2)


def open_cgroups(*, prefix: str = "lodge", mountinfo: str | None = None) -> Cgroups:
    """Open this host's control groups, the tree with the limits in it.

    A v2 tree beside v1 controllers ("hybrid") has none of them, so v1 is used. Never fails: where
    nothing can be used, a stand-in says why. Makes the group ``prefix`` and nothing else.
    """
    if mountinfo is None:
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    mounts = parse_mounts(mountinfo)
    try:
        if {"cpu", "memory"} & set(mounts.v1):
            return CgroupsV1(mounts.v1, prefix)
        if mounts.v2 is not None:
            return CgroupsV2(mounts.v2, prefix)
    except CgroupError as error:
        return NoCgroups(error.message)
    return NoCgroups("no cgroup file system is mounted")

"""What the machine and its kernel give: rights, control groups, memory, clock."""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from lodge.model.host import Capability
from lodge.services.hosts.probes import Ground, degraded, missing, ok
from lodge.system.cgroup import CgroupError, Layout, Limits
from lodge.system.procfs import capabilities_held, clock_is_synchronised, clock_source

__all__ = ["machine"]

_RIGHTS: Final = MappingProxyType(  # bit numbers of linux/capability.h
    {
        "CAP_CHOWN": 0,
        "CAP_DAC_OVERRIDE": 1,
        "CAP_KILL": 5,
        "CAP_SETGID": 6,
        "CAP_SETUID": 7,
        "CAP_NET_ADMIN": 12,
        "CAP_SYS_ADMIN": 21,
    }
)
_HUGE: Final = Path("/sys/kernel/mm/hugepages")
_KSM: Final = Path("/sys/kernel/mm/ksm/run")


async def machine(ground: Ground) -> Sequence[Capability]:
    """Look at each in turn."""
    return [_rights(), _groups(ground), _huge_pages(), _ksm(), _clock()]


def _rights() -> Capability:
    held = capabilities_held()
    lacking = [name for name, bit in _RIGHTS.items() if not held >> bit & 1]
    if not lacking:
        return ok("privileges", "lodged has the rights it needs", is_required=True)
    return missing(
        "privileges",
        f"lodged lacks {', '.join(lacking)}",
        cost="guests cannot get users, networks or cgroups of their own",
        fix="run lodged as root, outside of an unprivileged container",
        is_required=True,
    )


def _groups(ground: Ground) -> Capability:
    groups = ground.cgroups
    if groups.layout is Layout.NONE:
        return missing(
            "cgroups",
            groups.reason,
            cost="CPU, memory and process limits of instances are not kept, use is not counted",
            fix="mount cgroup2 at /sys/fs/cgroup; in a container, have a writable cgroup delegated",
        )
    name = "host-check"
    try:
        groups.create(name)
        groups.apply(name, Limits(cpu_weight=100, memory_bytes=1 << 30, pids=100))
        groups.usage(name)
        groups.remove(name)
    except CgroupError as error:
        return degraded(
            "cgroups",
            f"{groups.layout.value}: {error.message}",
            cost="limits of instances are not kept",
            fix="see the kernel's log",
        )
    working = ", ".join(sorted(groups.controllers)) or "none"
    found = f"{groups.layout.value}, controllers: {working}"
    if not groups.reason:
        return ok("cgroups", found)
    return degraded(
        "cgroups",
        f"{found} ({groups.reason})",
        cost="limits that need the missing controllers are not kept",
        fix="boot with the controllers enabled, or have them delegated to lodged's cgroup",
    )


def _huge_pages() -> Capability:
    counts = {}
    for folder in sorted(_HUGE.glob("hugepages-*kB")) if _HUGE.is_dir() else ():
        counts[folder.name.removeprefix("hugepages-")] = int(
            (folder / "nr_hugepages").read_text(encoding="ascii")
        )
    reserved = ", ".join(f"{count} of {size}" for size, count in counts.items() if count)
    if reserved:
        return ok("huge-pages", f"reserved: {reserved}")
    sizes = " and ".join(counts)
    found = f"the kernel offers {sizes}, none is reserved" if sizes else "the kernel offers none"
    return missing(
        "huge-pages",
        found,
        cost="guests with much memory miss the CPU's translation cache more often",
        fix="sysctl vm.nr_hugepages=COUNT",
    )


def _ksm() -> Capability:
    if not _KSM.is_file():
        found, fix = "the kernel cannot do it", "use a kernel with CONFIG_KSM"
    elif _KSM.read_text(encoding="ascii").strip() == "1":
        return ok("ksm", "equal memory pages of guests are merged")
    else:
        found, fix = "it is switched off", f"echo 1 > {_KSM}"
    return missing("ksm", found, cost="equal memory pages of guests are not merged", fix=fix)


def _clock() -> Capability:
    source = clock_source() or "unknown"
    if clock_is_synchronised():
        return ok("clock", f"synchronised; source {source}")
    return degraded(
        "clock",
        f"nothing keeps it right; source {source}",
        cost="certificates, token expiry and guests' clocks go wrong with it",
        fix="install a time service: the package systemd-timesyncd or chrony",
    )

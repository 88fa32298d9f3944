"""Facts about this machine from /proc and /sys: CPUs, memory, load, kernel (proc(5))."""

import ctypes
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from lodge.base.units import KIB, MIB

__all__ = [
    "Memory",
    "capabilities_held",
    "clock_is_synchronised",
    "clock_source",
    "cpu_count",
    "cpu_flags",
    "cpu_model_name",
    "host_name",
    "kernel_release",
    "load_1m",
    "memory",
    "parse_cpu_field",
    "parse_memory",
    "tsc_khz",
    "uptime_s",
]


_TIMEX_BYTES = 256  # struct timex is 208 bytes on x86-64 (adjtimex(2))
_TIME_ERROR = 5


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's memory, in MiB; ``available`` can be had without swapping."""

    total_mib: int
    available_mib: int


def parse_memory(meminfo: str) -> Memory:
    r"""Read /proc/meminfo.

    >>> parse_memory("MemTotal:  2097152 kB\nMemAvailable:  1048576 kB\n")
    Memory(total_mib=2048, available_mib=1024)
    """
    sizes = {}
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        if rest.strip():
            sizes[name] = int(rest.split()[0]) * KIB // MIB
    total = sizes.get("MemTotal", 0)
    return Memory(total, sizes.get("MemAvailable", sizes.get("MemFree", 0)))


def parse_cpu_field(cpuinfo: str, field: str) -> str:
    r"""Return a field of the first CPU in /proc/cpuinfo, or an empty string.

    >>> parse_cpu_field("processor\t: 0\nmodel name\t: Xeon\n", "model name")
    'Xeon'
    """
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def memory() -> Memory:
    """The machine's memory now."""
    return parse_memory(_text("/proc/meminfo"))


def cpu_count() -> int:
    """CPUs that are online."""
    return os.cpu_count() or 1


def cpu_model_name() -> str:
    """Name of the CPU as its maker tells it."""
    return parse_cpu_field(_text("/proc/cpuinfo"), "model name") or platform.machine()


def cpu_flags() -> frozenset[str]:
    """Abilities of the CPU by the kernel's names (``vmx``, ``svm``)."""
    return frozenset(parse_cpu_field(_text("/proc/cpuinfo"), "flags").split())


def tsc_khz() -> int | None:
    """Frequency of the time stamp counter in kHz, as well as the kernel tells it.

    The counter runs at the CPU's nominal rate. Where cores change their clocks the driver knows
    that rate (``base_frequency``); elsewhere, as in a VM, /proc/cpuinfo shows it.
    """
    nominal = _text("/sys/devices/system/cpu/cpu0/cpufreq/base_frequency").strip()
    if nominal.isdecimal():
        return int(nominal)
    clock_mhz = parse_cpu_field(_text("/proc/cpuinfo"), "cpu MHz")
    try:
        return round(float(clock_mhz) * 1000)
    except ValueError:
        return None


def load_1m() -> float:
    """Mean number of runnable processes over the last minute."""
    return os.getloadavg()[0]


def uptime_s() -> float:
    """Seconds since the machine started."""
    fields = _text("/proc/uptime").split()
    return float(fields[0]) if fields else 0.0


def kernel_release() -> str:
    """Release of the running kernel (``uname -r``)."""
    return platform.release()


def host_name() -> str:
    """The machine's own name, without domain."""
    return platform.node().partition(".")[0]


def clock_source() -> str:
    """What the kernel measures time with, such as ``tsc`` or ``kvm-clock``."""
    return _text("/sys/devices/system/clocksource/clocksource0/current_clocksource").strip()


def clock_is_synchronised() -> bool:
    """Whether some time service keeps the clock right, as the kernel knows it (adjtimex(2))."""
    facts = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes = 0: only read
    state: int = ctypes.CDLL(None).adjtimex(facts)
    return 0 <= state != _TIME_ERROR


def capabilities_held() -> int:
    """The effective capabilities of this process as a bit mask (capabilities(7))."""
    for line in _text("/proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0

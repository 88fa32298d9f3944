"""The host: what this machine is and can do."""

from enum import StrEnum

from lodge.model.record import Record

__all__ = ["Capability", "CapabilityState", "Host"]


class CapabilityState(StrEnum):
    """Whether a capability was proven by trying it."""

    OK = "ok"
    DEGRADED = "degraded"
    MISSING = "missing"


class Capability(Record, frozen=True, kw_only=True):
    """One thing probed. ``cost`` says what is lost without it, ``fix`` how to get it."""

    name: str
    state: CapabilityState
    found: str
    cost: str = ""
    fix: str = ""
    is_required: bool = False


class Host(Record, frozen=True, kw_only=True):
    """What this machine is: identity, size, and the accelerator proven for VMs.

    ``api_urls`` is where the API is served over HTTPS, and ``certificate_fingerprint`` the SHA-256
    of its certificate that a client compares; both empty where only the socket is served.
    """

    name: str
    id: str
    cpus: int
    memory_mib: int
    free_memory_mib: int
    kernel: str
    lodge_version: str
    accelerator: str
    accelerator_reason: str
    uptime_s: float
    load_1m: float
    api_urls: tuple[str, ...] = ()
    certificate_fingerprint: str = ""

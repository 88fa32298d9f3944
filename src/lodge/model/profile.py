"""Profiles: reusable partial specs merged into instances at creation."""

from typing import Annotated

from msgspec import Meta

from lodge.model.instance import BootSpec, CloudInitSpec, CpuModel, CrashPolicy, MachineType, Tag
from lodge.model.record import Record, Spec

__all__ = ["Profile", "ProfileSpec"]


class ProfileSpec(Spec, frozen=True, kw_only=True):
    """Every field is optional; later profiles win over earlier ones, the request wins over all."""

    description: Annotated[str, Meta(max_length=1024)] = ""
    cpus: Annotated[int, Meta(ge=1, le=1024)] | None = None
    cpu_model: CpuModel | None = None
    memory_mib: Annotated[int, Meta(ge=32, le=16777216)] | None = None
    disk_bytes: Annotated[int, Meta(ge=1)] | None = None
    pool: str | None = None
    networks: tuple[str, ...] | None = None
    machine: MachineType | None = None
    boot: BootSpec | None = None
    cloud_init: CloudInitSpec | None = None
    on_crash: CrashPolicy | None = None
    starts_at_boot: bool | None = None
    tags: tuple[Tag, ...] | None = None


class Profile(Record, frozen=True, kw_only=True):
    """A named profile."""

    name: str
    spec: ProfileSpec
    created_at: float

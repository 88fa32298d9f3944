"""What the API takes and gives for instances; the client and the CLI use the same types."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from lodge.model.instance import (
    BootSpec,
    CloudInitSpec,
    CpuModel,
    CrashPolicy,
    InstanceKind,
    InstanceSpec,
    InstanceState,
    InstanceStatus,
    MachineType,
    Tag,
)
from lodge.model.record import Record, Spec
from lodge.model.task import Task

__all__ = [
    "Base64",
    "ExecRequest",
    "ExecResult",
    "InstanceChange",
    "InstanceCreate",
    "InstanceView",
    "Rename",
    "ShutdownRequest",
    "TaskAnswer",
]


Base64 = Annotated[
    str, Meta(pattern=r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$(?!\n)")
]
"""Bytes as text (RFC 4648, section 4), with padding."""


class InstanceCreate(Spec, frozen=True, kw_only=True):
    """A request for an instance: name and image; profiles and defaults fill the rest.

    ``disk_bytes`` is the size of the root disk (default: the image's own, at least 4 GiB for
    images with cloud-init). ``starts`` says whether it is started after creation.
    """

    name: str
    image: str | None = None
    kind: InstanceKind = InstanceKind.VM
    description: Annotated[str, Meta(max_length=1024)] = ""
    tags: tuple[Tag, ...] | None = None
    profiles: tuple[str, ...] = ("default",)
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
    boot_order: Annotated[int, Meta(ge=0, le=10000)] | None = None
    is_protected: bool = False
    starts: bool = True


class InstanceChange(Spec, frozen=True, kw_only=True):
    """A change of some fields (``PATCH``); fields left out stay as they are.

    Changes of cpus, memory, machine and boot need a stopped instance.
    """

    description: Annotated[str, Meta(max_length=1024)] | UnsetType = UNSET
    tags: tuple[Tag, ...] | UnsetType = UNSET
    cpus: Annotated[int, Meta(ge=1, le=1024)] | UnsetType = UNSET
    cpu_model: CpuModel | UnsetType = UNSET
    memory_mib: Annotated[int, Meta(ge=32, le=16777216)] | UnsetType = UNSET
    boot: BootSpec | UnsetType = UNSET
    on_crash: CrashPolicy | UnsetType = UNSET
    starts_at_boot: bool | UnsetType = UNSET
    boot_order: Annotated[int, Meta(ge=0, le=10000)] | UnsetType = UNSET
    is_protected: bool | UnsetType = UNSET


class Rename(Spec, frozen=True, kw_only=True):
    """A new name."""

    name: str


class ShutdownRequest(Spec, frozen=True, kw_only=True):
    """How long to wait for the guest; ``is_forced``: pull the plug after that."""

    timeout_s: Annotated[float, Meta(gt=0, le=86400)] = 60.0
    is_forced: bool = False


class ExecRequest(Spec, frozen=True, kw_only=True):
    """A command to run in the guest through its agent. ``stdin`` is base64."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    environment: dict[str, str] = {}
    stdin: Base64 | None = None
    timeout_s: Annotated[float, Meta(gt=0, le=86400)] = 3600.0


class ExecResult(Record, frozen=True, kw_only=True):
    """How the command ended; the outputs are base64. ``signal`` is set when it was killed."""

    exit_status: int | None
    signal: int | None
    stdout: str
    stderr: str
    is_truncated: bool = False


class InstanceView(Record, frozen=True, kw_only=True):
    """An instance as the API shows it: record, status and the computed word."""

    name: str
    id: str
    kind: InstanceKind
    state: InstanceState
    spec: InstanceSpec
    status: InstanceStatus
    wanted: str
    driver: str
    machine_version: str
    image_name: str
    created_at: float
    updated_at: float
    revision: int
    tasks: tuple[str, ...] = ()


class TaskAnswer(Record, frozen=True, kw_only=True):
    """The answer to a change: the task, finished when the caller waited."""

    task: Task
    result: dict[str, Any] | None = None

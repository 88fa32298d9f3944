"""``instance.change`` and ``instance.rename``: new wishes for an existing instance."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

import msgspec
from msgspec import UNSET, structs

from lodge.model.instance import Instance, InstanceSpec, Power
from lodge.model.record import Spec
from lodge.model.requests import InstanceChange
from lodge.model.verbs import WrongInstanceStateError
from lodge.services.instances.errors import InstanceExistsError, NothingToChangeError
from lodge.services.instances.resolve import HostSize, check_against_host, checked
from lodge.services.instances.runtime import Runtime
from lodge.services.networks.service import Networks
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = [
    "NEEDS_STOP",
    "ChangeInstance",
    "ChangeParams",
    "RenameInstance",
    "RenameParams",
    "apply_change",
    "check_stopped",
]

NEEDS_STOP = frozenset({"cpus", "cpu_model", "memory_mib", "boot"})
"""Fields that a running instance cannot take on."""


class ChangeParams(Spec, frozen=True, kw_only=True):
    """Which instance and the fields to change; ``revision`` null: whatever it is now."""

    name: str
    id: str
    changes: dict[str, Any]
    revision: int | None = None


def apply_change(spec: InstanceSpec, change: InstanceChange) -> InstanceSpec:
    """Return the spec with the named fields changed; pure.

    Raises:
        NothingToChangeError: no field is named.
        InstanceSpecError: a value cannot be.
    """
    named = {name: value for name, value in structs.asdict(change).items() if value is not UNSET}
    if not named:
        raise NothingToChangeError("the change names no field", where="body")
    cpu = spec.cpu
    if "cpus" in named:
        cpu = structs.replace(cpu, count=named.pop("cpus"))
    if "cpu_model" in named:
        cpu = structs.replace(cpu, model=named.pop("cpu_model"))
    changed = structs.replace(spec, cpu=cpu, **named)
    return checked(changed)


class ChangeInstance:
    """Replace parts of a spec."""

    kind: ClassVar[str] = "instance.change"
    params_type: ClassVar[type[ChangeParams]] = ChangeParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 16

    def __init__(self, runtime: Runtime, host: HostSize) -> None:
        self._runtime = runtime
        self._host = host

    def target(self, params: ChangeParams, /) -> str:
        """The instance."""
        return f"instances/{params.name}"

    def locks(self, params: ChangeParams, /) -> AbstractSet[str]:
        """The name."""
        return {f"instance:{params.name}"}

    async def check(self, params: ChangeParams, /) -> None:
        """Refuse a stale revision, a field that needs a stop, a size beyond the host."""
        registry = self._runtime.registry
        record = registry.expect(params.name, params.id)
        registry.check_revision(params.name, params.revision)
        changed = self._changed(record, params)
        check_against_host(changed, self._host)
        blocked = sorted(NEEDS_STOP & params.changes.keys())
        if blocked and changed != record.spec:
            status = await self._runtime.look(record.id)
            check_stopped(params.name, status.power, blocked)

    def _changed(self, record: Instance, params: ChangeParams) -> InstanceSpec:
        change = msgspec.convert(params.changes, InstanceChange)
        return apply_change(record.spec, change)

    def plan(self, params: ChangeParams, /) -> Sequence[StepDefinition]:
        """One write."""

        async def write(context: StepContext) -> None:
            now = self._runtime.world.now()
            record = await self._runtime.registry.update(
                params.id,
                lambda record: structs.replace(
                    record, spec=self._changed(record, params), updated_at=now
                ),
            )
            context.result(name=record.name)

        return (StepDefinition("write", write),)


class RenameParams(Spec, frozen=True, kw_only=True):
    """The old name, the new one, and the id that keeps both together."""

    name: str
    new_name: str
    id: str
    revision: int | None = None


class RenameInstance:
    """Change the name: record, DNS names and the hostname that cloud-init sets at the next boot."""

    kind: ClassVar[str] = "instance.rename"
    params_type: ClassVar[type[RenameParams]] = RenameParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 8

    def __init__(self, runtime: Runtime, networks: Networks) -> None:
        self._runtime = runtime
        self._networks = networks

    def target(self, params: RenameParams, /) -> str:
        """The instance, by its old name."""
        return f"instances/{params.name}"

    def locks(self, params: RenameParams, /) -> AbstractSet[str]:
        """Both names."""
        return {f"instance:{params.name}", f"instance:{params.new_name}"}

    async def check(self, params: RenameParams, /) -> None:
        """Refuse a name that is taken."""
        registry = self._runtime.registry
        registry.expect(params.name, params.id)
        registry.check_revision(params.name, params.revision)
        if registry.find(params.new_name) is not None:
            raise InstanceExistsError(f"instance {params.new_name!r} exists already", where="name")

    def plan(self, params: RenameParams, /) -> Sequence[StepDefinition]:
        """Record, names, seed. The seed is written from the record, so both go back together."""

        async def record(context: StepContext) -> None:
            await self._move(params.id, params.new_name)
            context.result(name=params.new_name)

        async def record_back(_context: StepContext) -> None:
            await self._move(params.id, params.name)
            await seed(_context)

        async def names(_context: StepContext) -> None:
            await self._networks.rename(params.name, params.new_name)

        async def names_back(_context: StepContext) -> None:
            await self._networks.rename(params.new_name, params.name)

        async def seed(_context: StepContext) -> None:
            self._runtime.planner.write_seed(self._runtime.record(params.id))

        return (
            StepDefinition("record", record, record_back),
            StepDefinition("names", names, names_back),
            StepDefinition("seed", seed),
        )

    async def _move(self, instance_id: str, name: str) -> None:
        now = self._runtime.world.now()
        await self._runtime.registry.update(
            instance_id,
            lambda record: (
                record
                if record.name == name
                else structs.replace(record, name=name, updated_at=now)
            ),
        )


def check_stopped(name: str, seen: Power | None, fields: Sequence[str]) -> None:
    """Refuse fields that need a stopped instance.

    Raises:
        WrongInstanceStateError: it is not stopped.
    """
    if seen is Power.STOPPED:
        return
    raise WrongInstanceStateError(
        f"cannot change {', '.join(fields)} of instance {name!r}:"
        f" it is {seen.value if seen else 'unknown'}, required: stopped",
        where=f"instances/{name}",
        hint=f"shut it down first: lodge shutdown {name}",
    )

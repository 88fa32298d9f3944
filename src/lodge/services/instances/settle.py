"""``instance.settle``: put right what is left after an instance's process ended by itself."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import ClassVar

from lodge.base.errors import LodgeError
from lodge.model.instance import Power
from lodge.model.record import Spec
from lodge.services.instances.runtime import AT_REST, Runtime
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["Afterwards", "SettleInstance", "SettleParams"]


class Afterwards(StrEnum):
    """What shall become of an instance whose process is gone."""

    RUNS = "runs"  # it fell, and is started again
    STOPPED = "stopped"  # its guest switched it off, or its policy says so
    ERROR = "error"  # it should run, but fell too often


class SettleParams(Spec, frozen=True, kw_only=True):
    """Which instance, and what shall become of it."""

    name: str
    id: str
    afterwards: Afterwards


class SettleInstance:
    """Clear the dead process away, then start the instance again or accept that it is stopped."""

    kind: ClassVar[str] = "instance.settle"
    params_type: ClassVar[type[SettleParams]] = SettleParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 16

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def target(self, params: SettleParams, /) -> str:
        """The instance."""
        return f"instances/{params.name}"

    def locks(self, params: SettleParams, /) -> AbstractSet[str]:
        """The name: whatever else was under way has ended when this runs."""
        return {f"instance:{params.name}"}

    async def check(self, params: SettleParams, /) -> None:
        """Refuse one that was renamed meanwhile; what is settled already stays so."""
        self._runtime.registry.expect(params.name, params.id)

    def plan(self, params: SettleParams, /) -> Sequence[StepDefinition]:
        """Clear, then start again when wanted."""

        async def clear(context: StepContext) -> None:
            # Noted before anything is cleared: after a crash nobody could see any more that it was
            # this task that found the process dead.
            if "is_dead" not in context.notes:
                await context.remember(is_dead=await self._is_dead(params))
            if context.notes["is_dead"]:
                await self._clear(params)

        async def start(context: StepContext) -> None:
            if context.notes.get("is_dead") and params.afterwards is Afterwards.RUNS:
                await self._start(params)

        async def end(context: StepContext) -> None:
            if context.notes.get("is_dead") and params.afterwards is Afterwards.RUNS:
                await self._runtime.put_back(params.id, Power.RUNNING, was_at_rest=True)

        return (StepDefinition("clear", clear), StepDefinition("start", start, end))

    async def _is_dead(self, params: SettleParams) -> bool:
        """Whether there is a dead process to clear; false when another task was faster."""
        record = self._runtime.registry.by_id(params.id)
        if record is None or record.handle is None:
            return False
        return (await self._runtime.look(params.id)).power in AT_REST

    async def _clear(self, params: SettleParams) -> None:
        if params.afterwards is Afterwards.STOPPED:
            record = self._runtime.record(params.id)
            if record.wanted in (Power.RUNNING, Power.PAUSED):
                await self._runtime.want(params.id, Power.STOPPED)
        await self._runtime.end(params.id)

    async def _start(self, params: SettleParams) -> None:
        """Start it; one that was paused before it fell runs again too, it has nothing to keep."""
        await self._runtime.want(params.id, Power.RUNNING)
        try:
            await self._runtime.run(params.id)
        except LodgeError as error:
            self._runtime.note(
                params.id, reason=f"crashed, and could not be restarted: {error.message}"
            )
            raise

"""``instance.settle``: put right what is left after an instance's process ended by itself."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar

from lodge.model.instance import Power
from lodge.model.record import Spec
from lodge.services.instances.runtime import Runtime
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["SettleInstance", "SettleParams"]


class SettleParams(Spec, frozen=True, kw_only=True):
    """Which instance, and whether it is wanted again (a crash) or was switched off (its guest)."""

    name: str
    id: str
    restarts: bool


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

    async def check(self, _params: SettleParams, /) -> None:
        """Nothing to refuse: what is settled already stays so."""

    def plan(self, params: SettleParams, /) -> Sequence[StepDefinition]:
        """Clear, then start again when wanted."""

        async def clear(context: StepContext) -> None:
            context.notes["is_dead"] = await self._clear(params)

        async def start(context: StepContext) -> None:
            if context.notes.get("is_dead") and params.restarts:
                await self._runtime.run(params.id)

        return (StepDefinition("clear", clear), StepDefinition("start", start))

    async def _clear(self, params: SettleParams) -> bool:
        """Clear a dead process away; false when another task was faster."""
        record = self._runtime.registry.by_id(params.id)
        if record is None or record.handle is None:
            return False
        seen = await self._runtime.driver(record).observe(params.id, record.handle)
        if seen.power is not Power.STOPPED:
            return False
        if not params.restarts and record.wanted in (Power.RUNNING, Power.PAUSED):
            await self._runtime.want(params.id, Power.STOPPED)
        await self._runtime.end(params.id)
        return True

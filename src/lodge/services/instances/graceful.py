"""``instance.shutdown`` and ``instance.restart``: ask the guest, wait, say what happened."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar

from lodge.base.errors import LodgeError
from lodge.model.instance import Power
from lodge.model.record import Spec
from lodge.model.verbs import Verb, check_verb
from lodge.services.instances.errors import ShutdownTimeoutError
from lodge.services.instances.power import note_before, put_back_noted
from lodge.services.instances.runtime import Runtime
from lodge.services.instances.unbroken import unbroken
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["GracefulKind", "GracefulParams"]

_FIRST_LOOK_S = 0.05
_SLOWEST_LOOK_S = 0.5


class GracefulParams(Spec, frozen=True, kw_only=True):
    """Which instance, how long its guest may take, and whether the plug is pulled after that."""

    name: str
    id: str
    timeout_s: float
    is_forced: bool = False


class GracefulKind:
    """Shutdown, and restart as shutdown followed by a start."""

    params_type: ClassVar[type[GracefulParams]] = GracefulParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 64

    def __init__(self, runtime: Runtime, verb: Verb) -> None:
        self.kind = f"instance.{verb.value}"
        self._runtime = runtime
        self._verb = verb

    def target(self, params: GracefulParams, /) -> str:
        """The instance."""
        return f"instances/{params.name}"

    def locks(self, params: GracefulParams, /) -> AbstractSet[str]:
        """The name."""
        return {f"instance:{params.name}"}

    async def check(self, params: GracefulParams, /) -> None:
        """Refuse in a state that does not allow the verb."""
        record = self._runtime.registry.expect(params.name, params.id)
        status = await self._runtime.look(record.id)
        check_verb(self._verb, params.name, status.power)

    def plan(self, params: GracefulParams, /) -> Sequence[StepDefinition]:
        """Shutdown, and for a restart the start after it."""

        async def shut(context: StepContext) -> None:
            await note_before(self._runtime, params.id, context)
            await self._shut(params, context)

        async def wish_back(context: StepContext) -> None:
            await put_back_noted(self._runtime, params.id, context)

        async def start(_context: StepContext) -> None:
            await self._start(params.id)

        if self._verb is Verb.SHUTDOWN:
            return (StepDefinition("shutdown", shut, wish_back),)
        # A guest that has ended cannot be brought back, only started: so a restart is carried on.
        return (
            StepDefinition("shutdown", shut, wish_back, is_point_of_no_return=True),
            StepDefinition("start", start),
        )

    async def _start(self, instance_id: str) -> None:
        await self._runtime.want(instance_id, Power.RUNNING)
        self._runtime.forgive(instance_id)
        try:
            await self._runtime.run(instance_id)
        except LodgeError:
            await self._runtime.put_back(instance_id, Power.STOPPED, was_at_rest=True)
            raise

    async def _shut(self, params: GracefulParams, context: StepContext) -> None:
        record = await self._runtime.want(params.id, Power.STOPPED)
        if record.handle is None:  # an earlier daemon came that far, or the host was rebooted
            await self._runtime.end(params.id)
            return
        world = self._runtime.world
        began = world.monotonic()
        if self._runtime.registry.status(params.id).power is not Power.PAUSED:
            await self._runtime.driver(record).shutdown(params.id, record.handle)
            await self._wait(params, context, began)
        ended = (await self._runtime.look(params.id)).power is Power.STOPPED
        if not ended and not params.is_forced:
            raise ShutdownTimeoutError(
                f"the guest of {params.name!r} did not end within {params.timeout_s:g} s",
                where=f"instances/{params.name}",
            )
        await unbroken(self._runtime.end(params.id))
        context.result(
            how="guest" if ended else "forced", seconds=round(world.monotonic() - began, 1)
        )

    async def _wait(self, params: GracefulParams, context: StepContext, began: float) -> None:
        world = self._runtime.world
        pause_s = _FIRST_LOOK_S
        while (waited := world.monotonic() - began) < params.timeout_s:
            if (await self._runtime.look(params.id)).power is Power.STOPPED:
                return
            context.progress(
                int(waited), int(params.timeout_s), unit="s", note="waiting for the guest"
            )
            await world.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _SLOWEST_LOOK_S)

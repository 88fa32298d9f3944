"""Power verbs of an instance as task kinds: start, stop, reset, pause, resume, suspend."""

from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar

from lodge.drivers.instance.contract import Reset
from lodge.model.instance import Power
from lodge.model.record import Spec
from lodge.model.verbs import Verb, check_verb
from lodge.services.instances.errors import AbilityMissingError
from lodge.services.instances.runtime import Runtime
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["POWER_KINDS", "PowerKind", "PowerParams"]


class PowerParams(Spec, frozen=True, kw_only=True):
    """Which instance: its name for people and locks, its id for the steps."""

    name: str
    id: str


Move = Callable[[Runtime, str, StepContext], Awaitable[None]]


class PowerKind:
    """A verb with one step; carried on after a crash, its wish put back when it failed."""

    params_type: ClassVar[type[PowerParams]] = PowerParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 16

    def __init__(self, runtime: Runtime, verb: Verb, move: Move) -> None:
        self.kind = f"instance.{verb.value}"
        self._runtime = runtime
        self._verb = verb
        self._move = move

    def target(self, params: PowerParams, /) -> str:
        """The instance."""
        return f"instances/{params.name}"

    def locks(self, params: PowerParams, /) -> AbstractSet[str]:
        """The name."""
        return {f"instance:{params.name}"}

    async def check(self, params: PowerParams, /) -> None:
        """Refuse a verb that its present state does not allow."""
        record = self._runtime.registry.get(params.name)
        status = await self._runtime.look(record.id)
        check_verb(self._verb, params.name, status.power)

    def plan(self, params: PowerParams, /) -> Sequence[StepDefinition]:
        """One step, and what its failure leaves: the wish of before."""

        async def act(context: StepContext) -> None:
            if "wanted" not in context.notes:
                await context.remember(wanted=self._runtime.record(params.id).wanted.value)
            await self._move(self._runtime, params.id, context)

        async def put_back(context: StepContext) -> None:
            if "wanted" in context.notes and self._runtime.registry.by_id(params.id) is not None:
                await self._runtime.want(params.id, Power(context.notes["wanted"]))
                await self._runtime.look(params.id)

        return (StepDefinition(self._verb.value, act, put_back),)


async def _start(runtime: Runtime, instance_id: str, _context: StepContext) -> None:
    await runtime.want(instance_id, Power.RUNNING)
    runtime.forgive(instance_id)
    await runtime.run(instance_id)


async def _stop(runtime: Runtime, instance_id: str, _context: StepContext) -> None:
    await runtime.want(instance_id, Power.STOPPED)
    await runtime.end(instance_id)
    await runtime.discard_saved(instance_id)


async def _pause(runtime: Runtime, instance_id: str, _context: StepContext) -> None:
    await runtime.want(instance_id, Power.PAUSED)
    record = runtime.record(instance_id)
    if record.handle is not None:
        await runtime.driver(record).pause(instance_id, record.handle)
    await runtime.look(instance_id)


async def _resume(runtime: Runtime, instance_id: str, context: StepContext) -> None:
    record = await runtime.want(instance_id, Power.RUNNING)
    if record.handle is None:
        await _start(runtime, instance_id, context)
    else:
        await runtime.driver(record).resume(instance_id, record.handle)
    await runtime.look(instance_id)


async def _suspend(runtime: Runtime, instance_id: str, context: StepContext) -> None:
    await runtime.want(instance_id, Power.SUSPENDED)
    await runtime.suspend(instance_id, context)


async def _reset(runtime: Runtime, instance_id: str, _context: StepContext) -> None:
    record = runtime.record(instance_id)
    driver = runtime.driver(record)
    if not isinstance(driver, Reset):
        raise AbilityMissingError(f"driver {driver.name!r} cannot reset instances")
    if record.handle is not None:
        await driver.reset(instance_id, record.handle)
    await runtime.look(instance_id)


POWER_KINDS: dict[Verb, Move] = {
    Verb.START: _start,
    Verb.STOP: _stop,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.SUSPEND: _suspend,
    Verb.RESET: _reset,
}
"""One move for each verb that needs no time limit; shutdown and restart have their own file."""

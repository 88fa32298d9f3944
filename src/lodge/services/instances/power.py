"""Power verbs of an instance as task kinds: start, stop, reset, pause, resume, suspend."""

from collections.abc import Callable, Coroutine, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

from lodge.drivers.instance.contract import Handle, Reset
from lodge.drivers.instance.errors import HandleLostError
from lodge.model.instance import Instance, Power
from lodge.model.record import Spec
from lodge.model.verbs import Verb, check_verb
from lodge.services.instances.errors import AbilityMissingError
from lodge.services.instances.runtime import AT_REST, Runtime
from lodge.services.instances.unbroken import unbroken
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["POWER_KINDS", "PowerKind", "PowerParams", "note_before", "put_back_noted"]


class PowerParams(Spec, frozen=True, kw_only=True):
    """Which instance: its name for people and locks, its id for the steps."""

    name: str
    id: str


Move = Callable[[Runtime, str, StepContext], Coroutine[Any, Any, None]]


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
        """Refuse a verb that its present state does not allow.

        One that fell and is about to be started again can be stopped, though nothing runs.
        """
        record = self._runtime.registry.expect(params.name, params.id)
        status = await self._runtime.look(record.id)
        fell = status.power is Power.STOPPED and record.wanted in (Power.RUNNING, Power.PAUSED)
        if not (self._verb is Verb.STOP and fell):
            check_verb(self._verb, params.name, status.power)

    def plan(self, params: PowerParams, /) -> Sequence[StepDefinition]:
        """One step, and what its failure leaves: wish and reality of before."""

        async def act(context: StepContext) -> None:
            await note_before(self._runtime, params.id, context)
            move = self._move(self._runtime, params.id, context)
            await (move if self._verb in _INTERRUPTIBLE else unbroken(move))

        async def put_back(context: StepContext) -> None:
            if self._verb is Verb.SUSPEND and await self._is_suspended(params.id):
                return
            await put_back_noted(self._runtime, params.id, context)

        return (StepDefinition(self._verb.value, act, put_back),)

    async def _is_suspended(self, instance_id: str) -> bool:
        """After a failed suspend: finish it when the guest ended, else forget its memory.

        Memory of a guest that runs on must go, because its disk changes.
        """
        record = self._runtime.registry.by_id(instance_id)
        if record is None:
            return False
        if (await self._runtime.look(instance_id)).power not in AT_REST:
            self._runtime.memory.discard(instance_id)
            return False
        self._runtime.memory.take_over(instance_id)
        if not self._runtime.memory.is_saved(instance_id):
            return False
        await self._runtime.want(instance_id, Power.SUSPENDED)
        await self._runtime.end(instance_id)
        return True


async def note_before(runtime: Runtime, instance_id: str, context: StepContext) -> None:
    """Keep wish and reality of before the first attempt, for ``put_back_noted``."""
    if "wanted" not in context.notes:
        record = runtime.record(instance_id)
        seen = runtime.registry.status(instance_id).power
        await context.remember(
            wanted=record.wanted.value, was_at_rest=record.handle is None or seen in AT_REST
        )


async def put_back_noted(runtime: Runtime, instance_id: str, context: StepContext) -> None:
    """Bring back what ``note_before`` kept; nothing happens when it kept nothing."""
    if "wanted" in context.notes:
        await runtime.put_back(
            instance_id, Power(context.notes["wanted"]), was_at_rest=context.notes["was_at_rest"]
        )


async def _start(runtime: Runtime, instance_id: str, _context: StepContext) -> None:
    await runtime.want(instance_id, Power.RUNNING)
    runtime.forgive(instance_id)
    await runtime.run(instance_id)


async def _stop(runtime: Runtime, instance_id: str, _context: StepContext) -> None:
    await runtime.want(instance_id, Power.STOPPED)
    await runtime.end(instance_id)
    runtime.memory.discard(instance_id)
    await runtime.look(instance_id)


async def _pause(runtime: Runtime, instance_id: str, _context: StepContext) -> None:
    record = await runtime.want(instance_id, Power.PAUSED)
    await runtime.driver(record).pause(instance_id, _handle(record))
    await runtime.look(instance_id)


async def _resume(runtime: Runtime, instance_id: str, context: StepContext) -> None:
    record = await runtime.want(instance_id, Power.RUNNING)
    if record.handle is None:
        await _start(runtime, instance_id, context)
    else:
        await runtime.driver(record).resume(instance_id, record.handle)
    await runtime.look(instance_id)


async def _suspend(runtime: Runtime, instance_id: str, context: StepContext) -> None:
    record = await runtime.want(instance_id, Power.SUSPENDED)
    driver = runtime.driver(record)
    await runtime.memory.save(driver, instance_id, record.handle, context.progress)
    if not runtime.memory.is_saved(instance_id):
        raise _ended_meanwhile(record)
    await unbroken(runtime.end(instance_id))


async def _reset(runtime: Runtime, instance_id: str, _context: StepContext) -> None:
    record = runtime.record(instance_id)
    driver = runtime.driver(record)
    if not isinstance(driver, Reset):
        raise AbilityMissingError(f"driver {driver.name!r} cannot reset instances")
    await driver.reset(instance_id, _handle(record))
    await runtime.look(instance_id)


def _handle(record: Instance) -> Handle:
    """Return the handle of what runs; a resumed task may find that the host was rebooted."""
    if record.handle is None:
        raise _ended_meanwhile(record)
    return record.handle


def _ended_meanwhile(record: Instance) -> HandleLostError:
    return HandleLostError(
        f"instance {record.name!r} does not run any more", where=f"instances/{record.name}"
    )


_INTERRUPTIBLE = frozenset({Verb.START, Verb.SUSPEND})
"""Verbs that may take long and leave nothing when they are cancelled in the middle.

What the others did to a guest cannot be taken back, and they are quick: cancelled before they
begin they do nothing, later they are carried on.
"""

POWER_KINDS: dict[Verb, Move] = {
    Verb.START: _start,
    Verb.STOP: _stop,
    Verb.PAUSE: _pause,
    Verb.RESUME: _resume,
    Verb.SUSPEND: _suspend,
    Verb.RESET: _reset,
}
"""One move for each verb that needs no time limit; shutdown and restart have their own file."""

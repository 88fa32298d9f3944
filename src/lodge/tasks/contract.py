"""What a task kind must provide, and what the engine gives to its steps."""

from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, TypeVar

from lodge.base.world import World
from lodge.model.record import Spec
from lodge.model.task import Actor, Task
from lodge.store.contract import Compare, Operation

__all__ = ["OnCrash", "StepContext", "StepDefinition", "TaskKind", "Tasks"]


class OnCrash(StrEnum):
    """What the next start does with a task that a dead daemon left running."""

    RESUME = "resume"
    UNDO = "undo"


class StepContext(Protocol):
    """What a running step may use.

    ``notes`` survives a crash of the daemon once the step that wrote it ended, or once
    ``remember`` returned. Steps must be idempotent: each runs at least once.
    """

    task_id: str
    actor: Actor
    world: World
    notes: dict[str, Any]

    async def remember(self, **notes: Any) -> None:
        """Write notes durably now, in the middle of a step."""
        ...

    def progress(
        self, done: int, total: int | None = None, *, unit: str = "bytes", note: str = ""
    ) -> None:
        """Tell how far this step is; cheap, may be called for every block."""
        ...

    def result(self, **facts: Any) -> None:
        """Add to what the caller gets when the task is done."""
        ...

    def write(self, *operations: Operation, guards: Sequence[Compare] = ()) -> None:
        """Let the transaction that journals the end of this step also do these operations.

        When a guard does not hold then, nothing is written and the step fails with
        ``ChangedMeanwhileError``. Not kept over a crash: a step that runs again asks again.
        """
        ...

    @property
    def is_cancel_requested(self) -> bool:
        """Whether a person asked to cancel; long loops ask now and then, awaits are interrupted."""
        ...


StepBody = Callable[[StepContext], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StepDefinition:
    """One step. ``undo`` must also be right when ``do`` never ran, ran half, or ran twice.

    ``is_point_of_no_return``: once this step is done the task is carried on, never undone. After a
    crash in the middle of such a step nobody knows, so it runs again and is carried on too.
    """

    name: str
    do: StepBody
    undo: StepBody | None = None
    is_point_of_no_return: bool = False


P = TypeVar("P", bound=Spec, contravariant=True)


class TaskKind(Protocol[P]):
    """One kind of change; registered once, at start. ``params`` differ by task.

    ``kind`` is ``noun.verb``. ``params_type`` is what the journal stores and reads back.
    ``parallel`` bounds how many of this kind run at once.
    """

    params_type: ClassVar[type[Any]]
    on_crash: ClassVar[OnCrash]
    parallel: ClassVar[int]

    @property
    def kind(self) -> str:
        """Its name; the same for the object's whole life."""
        ...

    def target(self, params: P, /) -> str:
        """The main thing it changes, such as ``instances/web``."""
        ...

    def locks(self, params: P, /) -> AbstractSet[str]:
        """Names (``noun:name``) held exclusively while it runs; all taken at once, sorted."""
        ...

    async def check(self, params: P, /) -> None:
        """Refuse early with the error a person should see; reads only. A dry run ends here.

        Called with the locks held, and not again when a task is carried on after a crash.
        """
        ...

    def plan(self, params: P, /) -> Sequence[StepDefinition]:
        """List the steps; must give the same names in the same order for the same params."""
        ...


class Tasks(Protocol):
    """The engine as the services see it."""

    def register(self, kind: TaskKind[Any], /) -> None:
        """Make a kind known; before ``recover``."""
        ...

    async def submit(self, kind: str, params: Spec, actor: Actor, /) -> Task:
        """Check the request with no lock held, journal the task as queued, and return it at once.

        Raises what ``check`` raises, so that a plainly wrong request never becomes a task.
        """
        ...

    async def dry_run(self, kind: str, params: Spec, actor: Actor, /) -> None:
        """Run only the check; raises what it raises."""
        ...

    async def wait(self, task_id: str, /, timeout_s: float | None = None) -> Task:
        """Return the task once it is final (or as it is when the time is over)."""
        ...

    async def cancel(self, task_id: str, /, actor: Actor) -> Task:
        """Ask for the end of a task; it undoes what it did. Twice is the same as once."""
        ...

    def get(self, task_id: str, /) -> Task:
        """Return one task, with live progress.

        Raises:
            TaskNotFoundError: no such task in the history.
        """
        ...

    def list(self) -> Sequence[Task]:
        """All tasks in the history, newest first, with live progress."""
        ...

    def active(self, target: str, /) -> tuple[str, ...]:
        """Ids of the tasks on a target that are not final; cheap, the same tuple if unchanged."""
        ...

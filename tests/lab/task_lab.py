"""A small world that tasks change, kinds of tasks over it, and a daemon that can die anywhere.

The world is a dict of pieces that outlives the daemon, as disks and processes do. A step makes one
piece in two halves, so that a death in between leaves half of it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from virtual_world import VirtualWorld

from lodge.base.errors import ConflictError, LodgeError
from lodge.base.world import World
from lodge.model.record import Spec
from lodge.model.task import Actor, Task
from lodge.store.audit import AuditLog
from lodge.store.contract import Compare, Operation, TxnResult
from lodge.store.errors import StoreFullError
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition
from lodge.tasks.engine import Engine, History

ACTOR = Actor(name="root", via="socket", trace="t1")

# Tasks that fail on purpose, and engines that die, tell about it in the log.
logging.getLogger("lodge").setLevel(logging.CRITICAL + 1)


class DeathError(BaseException):
    """The daemon is gone: no code of it runs after this."""


class PieceTakenError(ConflictError):
    """Somebody else has this piece."""


class BreakError(LodgeError):
    """A step that was told to fail."""


class Make(Spec, frozen=True, kw_only=True):
    """Make pieces ``NAME/0`` .. ``NAME/(count-1)``; break at one; never return after another."""

    name: str
    count: int = 3
    owner: str = "me"
    breaks_at: int | None = None
    undo_breaks_at: int | None = None
    returns_until: int | None = None
    locks: tuple[str, ...] = ()


@dataclass
class Pieces:
    """What exists: piece to owner, ``half:OWNER`` while it is being made."""

    made: dict[str, str] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    wrongs: list[str] = field(default_factory=list)
    busy: int = 0
    most_busy: int = 0
    on_half: Callable[[str], Awaitable[None] | None] = lambda _place: None

    def must(self, claim: bool, otherwise: str) -> None:
        """Keep what must never happen; an exception would only fail the task that did it."""
        if not claim:
            self.wrongs.append(otherwise)

    def of(self, name: str) -> dict[str, str]:
        return {key: owner for key, owner in self.made.items() if key.startswith(f"{name}/")}


class MakePieces:
    """A kind of task with idempotent steps."""

    kind: ClassVar[str] = "piece.make"
    params_type: ClassVar[type[Make]] = Make
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 4

    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces

    def target(self, params: Make, /) -> str:
        return f"pieces/{params.name}"

    def locks(self, params: Make, /) -> AbstractSet[str]:
        return {f"piece:{params.name}", *params.locks}

    async def check(self, params: Make, /) -> None:
        await asyncio.sleep(0)
        if self.pieces.of(params.name):
            raise PieceTakenError(f"{params.name!r} is taken")

    def plan(self, params: Make, /) -> Sequence[StepDefinition]:
        return [
            StepDefinition(
                f"piece-{place}",
                partial(self._make, params, place),
                partial(self._remove, params, place),
                is_point_of_no_return=place == params.returns_until,
            )
            for place in range(params.count)
        ]

    async def _make(self, params: Make, place: int, context: StepContext) -> None:
        key = f"{params.name}/{place}"
        self.pieces.runs.append(f"do {key}")
        self._own(params, key)
        self.pieces.made[key] = f"half:{params.owner}"
        self.pieces.busy += 1
        self.pieces.most_busy = max(self.pieces.most_busy, self.pieces.busy)
        context.progress(1, 2, unit="halves")
        try:
            waits = self.pieces.on_half(key)
            await (asyncio.sleep(0) if waits is None else waits)
            if place == params.breaks_at:
                raise BreakError(f"{key} broke")
        finally:
            self.pieces.busy -= 1
        self.pieces.made[key] = params.owner
        if place == params.returns_until:
            self.pieces.passed.add(params.owner)
        context.notes[f"made-{place}"] = key
        context.progress(2, 2, unit="halves")
        context.result(last=key)

    async def _remove(self, params: Make, place: int, context: StepContext) -> None:
        key = f"{params.name}/{place}"
        self.pieces.runs.append(f"undo {key}")
        passed = params.owner in self.pieces.passed
        self.pieces.must(not passed, f"{key} undone behind the point of no return")
        await asyncio.sleep(0)
        if place == params.undo_breaks_at:
            raise BreakError(f"{key} cannot be removed")
        self._own(params, key)
        self.pieces.made.pop(key, None)

    def _own(self, params: Make, key: str) -> None:
        owner = self.pieces.made.get(key, params.owner).removeprefix("half:")
        self.pieces.must(owner == params.owner, f"{key} of {owner} touched by {params.owner}")


class MakeOrUndo(MakePieces):
    """The same, undone when the daemon dies."""

    kind: ClassVar[str] = "piece.try"
    on_crash: ClassVar[OnCrash] = OnCrash.UNDO


class MortalStore(SqliteStore):
    """A store that dies with its daemon, and can be full at chosen writes."""

    is_dead = False
    writes = 0

    def __init__(self, *parts: object) -> None:
        super().__init__(*parts)  # type: ignore[arg-type]
        self.is_full: Callable[[int], bool] = lambda _write: False

    async def txn(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> TxnResult:
        if self.is_dead:
            raise DeathError
        self.writes += 1
        if self.is_full(self.writes):
            raise StoreFullError("no room")
        answer = await super().txn(compares, then, otherwise)
        if self.is_dead:  # it died while the disk was at work
            raise DeathError
        return answer


@dataclass
class Daemon:
    """One life of a daemon over a folder."""

    store: MortalStore
    engine: Engine
    events: EventLog
    audit: AuditLog
    points: list[str] = field(default_factory=list)
    died: asyncio.Event = field(default_factory=asyncio.Event)
    dies_at: Callable[[str, int], bool] = lambda _point, _number: False

    def point(self, name: str) -> None:
        """Count a kill point, and die here if so decided; the dead stay dead."""
        if not self.died.is_set():
            self.points.append(name)
            if self.dies_at(name, len(self.points)):
                self.die()
        if self.died.is_set():
            raise DeathError(name)

    def die(self) -> None:
        self.store.is_dead = True
        self.died.set()

    async def ended_or_dead(self, task: Task) -> Task | None:
        """Wait for a task; null: the daemon died before it ended."""
        waits = [
            asyncio.ensure_future(self.engine.wait(task.id)),
            asyncio.ensure_future(self.died.wait()),
        ]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        ended = None if self.died.is_set() or not waits[0].done() else waits[0].result()
        for wait in waits:
            wait.cancel()
        return ended

    async def all_ended(self) -> list[Task]:
        return [await self.engine.wait(task.id, timeout_s=None) for task in self.engine.list()]

    def locks(self) -> list[str]:
        return [entry.key for entry in self.store.list("locks/")[0]]


@asynccontextmanager
async def daemon(
    folder: Path,
    pieces: Pieces,
    *,
    world: World | None = None,
    dies_at: Callable[[str, int], bool] = lambda _point, _number: False,
    history: History | None = None,
) -> AsyncIterator[Daemon]:
    """Start a daemon over a folder, recovery included; at the end it just dies."""
    world = world or VirtualWorld()
    store = await MortalStore.open(folder, world, backups_kept=0)
    assert isinstance(store, MortalStore)
    events, audit = EventLog(store, world), AuditLog(store, world)
    engine = Engine(store, world, events, audit, history=history)
    life = Daemon(store, engine, events, audit, dies_at=dies_at)
    engine.kill_points = life.point
    for kind in (MakePieces, MakeOrUndo):
        engine.register(kind(pieces))
    try:
        yield life
    finally:
        life.die()
        await engine.stop(grace_s=0)
        await store.close()

"""A daemon to be killed with SIGKILL: ``killed_daemon.py FOLDER KIND POINT``.

It takes over what an earlier one left, or makes one piece set as files in ``FOLDER/pieces``; at the
given kill point (``-`` for none) it kills itself. It prints each task it was told is durable.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path
from typing import ClassVar

from lodge.base.world import RealWorld
from lodge.model.record import Spec
from lodge.model.task import Actor
from lodge.store.audit import AuditLog
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition
from lodge.tasks.engine import Engine


class Files(Spec, frozen=True, kw_only=True):
    folder: str


class MakeFiles:
    kind: ClassVar[str] = "files.make"
    params_type: ClassVar[type[Files]] = Files
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 1

    def target(self, params: Files, /) -> str:
        return params.folder

    def locks(self, params: Files, /) -> AbstractSet[str]:
        return {f"folder:{params.folder}"}

    async def check(self, params: Files, /) -> None:
        if any(Path(params.folder).iterdir()):
            raise FileExistsError(params.folder)

    def plan(self, params: Files, /) -> Sequence[StepDefinition]:
        return [
            StepDefinition(
                f"file-{place}",
                partial(self._make, params, place),
                partial(self._remove, params, place),
            )
            for place in range(3)
        ]

    async def _make(self, params: Files, place: int, context: StepContext) -> None:
        (Path(params.folder) / str(place)).write_text(context.task_id)

    async def _remove(self, params: Files, place: int, _context: StepContext) -> None:
        (Path(params.folder) / str(place)).unlink(missing_ok=True)


class TryFiles(MakeFiles):
    kind: ClassVar[str] = "files.try"
    on_crash: ClassVar[OnCrash] = OnCrash.UNDO


def die_at(wanted: str, point: str) -> None:
    if point == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, kind: str, point: str) -> None:
    world = RealWorld()
    store = await SqliteStore.open(folder, world)
    engine = Engine(store, world, EventLog(store, world), AuditLog(store, world))
    engine.kill_points = partial(die_at, f"{kind}/{point}")
    for known in (MakeFiles(), TryFiles()):
        engine.register(known)
    left = await engine.recover()
    if point != "-":
        task = await engine.submit(kind, Files(folder=str(folder / "pieces")), Actor(name="root"))
        print(task.id, flush=True)
        left = [task]
    for task in left:
        print((await engine.wait(task.id)).state.value, flush=True)
    await engine.stop()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))

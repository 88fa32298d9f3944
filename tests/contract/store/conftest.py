"""Every implementation of the store; a new one adds a line to ``GROUNDS``."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest
from virtual_world import VirtualWorld

from lodge.store.contract import Store
from lodge.store.sqlite.store import SqliteStore


class StoreGround(Protocol):
    """One place where a store keeps its data; opening it again finds the same data."""

    def opened(self) -> AbstractAsyncContextManager[Store]: ...

    async def let_time_pass(self, seconds: float) -> None: ...


class SqliteGround:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._world = VirtualWorld()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Store]:
        store = await SqliteStore.open(self._folder, self._world, backups_kept=0)
        try:
            yield store
        finally:
            await store.close()

    async def let_time_pass(self, seconds: float) -> None:
        await self._world.pass_time(seconds)


GROUNDS: dict[str, Callable[[Path], StoreGround]] = {"sqlite": SqliteGround}


@pytest.fixture(params=GROUNDS, ids=str)
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> StoreGround:
    return GROUNDS[request.param](tmp_path)

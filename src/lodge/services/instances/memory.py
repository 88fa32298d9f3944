"""Memory of suspended instances: written once, loaded once.

A guest that ran on has changed its disk, so memory saved before must never be loaded again: it
would write old blocks over new ones. Three names tell a later daemon how far things were:
``memory.part`` is being written (drivers let it appear whole), ``memory.saved`` waits, and from
``memory.loading`` a guest may have run.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from lodge.base.errors import LodgeError
from lodge.drivers.instance.contract import Handle, InstanceDriver, InstancePlan, Suspend
from lodge.services.instances.errors import AbilityMissingError
from lodge.services.instances.folders import InstanceFolders

__all__ = ["SavedMemory"]

T = TypeVar("T")


class SavedMemory:
    """The memory files of instances, by id."""

    def __init__(self, folders: InstanceFolders) -> None:
        self._folders = folders

    def is_saved(self, instance_id: str) -> bool:
        """Whether a start would bring memory back."""
        return self._folders.saved_memory(instance_id).exists()

    async def save(
        self,
        driver: InstanceDriver,
        instance_id: str,
        handle: Handle | None,
        progress: Callable[[int, int | None], None],
    ) -> None:
        """Write the memory and end the guest; nothing happens when that was done before.

        Raises:
            AbilityMissingError: its driver cannot.
        """
        if not isinstance(driver, Suspend):
            raise AbilityMissingError(f"driver {driver.name!r} cannot suspend instances")
        partial = self._folders.partial_memory(instance_id)
        if handle is not None and not self.is_saved(instance_id):
            await driver.suspend(instance_id, handle, partial, progress)
        self.take_over(instance_id)

    def take_over(self, instance_id: str) -> None:
        """Let memory that was written whole count as saved; nothing happens without any."""
        partial = self._folders.partial_memory(instance_id)
        if partial.exists():
            partial.rename(self._folders.saved_memory(instance_id))

    async def start(self, driver: InstanceDriver, plan: InstancePlan) -> Handle:
        """Start an instance, from its saved memory when it has some; idempotent.

        A start from memory is not interrupted by a cancellation: nobody could tell afterwards
        whether the guest had run.
        """
        saved, loading = self._folders.saved_memory(plan.id), self._folders.loading_memory(plan.id)
        if saved.exists():
            saved.rename(loading)
        if not loading.exists():
            return await driver.start(plan)
        try:
            handle = await _unbroken(driver.start(plan, saved=loading))
        except LodgeError:
            loading.rename(saved)
            raise
        loading.unlink()
        return handle

    def forget_loaded(self, instance_id: str) -> None:
        """Remove memory from which a guest may have run; nothing happens without any."""
        self._folders.loading_memory(instance_id).unlink(missing_ok=True)

    def discard(self, instance_id: str) -> None:
        """Remove every memory of an instance."""
        self.forget_loaded(instance_id)
        self._folders.partial_memory(instance_id).unlink(missing_ok=True)
        self._folders.saved_memory(instance_id).unlink(missing_ok=True)


async def _unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Await to the end, whoever cancels meanwhile."""
    inner = asyncio.ensure_future(work)
    while not inner.done():
        try:
            await asyncio.shield(inner)
        except asyncio.CancelledError:
            if inner.cancelled():
                raise
        except LodgeError:
            break
    return inner.result()

"""Memory of suspended instances: written once, loaded once.

A guest that ran on has changed its disk, so memory saved before must never be loaded again: it
would write old blocks over new ones. Three names tell a later daemon how far things were:
``memory.part`` is being written (drivers let it appear whole), ``memory.saved`` waits, and from
``memory.loading`` a guest may have run.
"""

from collections.abc import Callable

from lodge.base.errors import LodgeError
from lodge.drivers.instance.contract import Handle, InstanceDriver, InstancePlan, Suspend
from lodge.services.instances.errors import AbilityMissingError
from lodge.services.instances.folders import InstanceFolders

__all__ = ["SavedMemory"]


class SavedMemory:
    """The memory files of instances, by id."""

    def __init__(self, folders: InstanceFolders) -> None:
        self._folders = folders

    def is_saved(self, instance_id: str) -> bool:
        """Whether a start would bring memory back."""
        return self._folders.saved_memory(instance_id).exists()

    def waits(self, instance_id: str) -> bool:
        """Whether the next start would load memory, for the first time or after a crash again."""
        return self.is_saved(instance_id) or self._folders.loading_memory(instance_id).exists()

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

        Raises:
            LodgeError: it does not run; memory it had is there as before.
        """
        saved, loading = self._folders.saved_memory(plan.id), self._folders.loading_memory(plan.id)
        if saved.exists():
            saved.rename(loading)
        if not loading.exists():
            return await driver.start(plan)
        try:
            handle = await driver.start(plan, saved=loading)
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

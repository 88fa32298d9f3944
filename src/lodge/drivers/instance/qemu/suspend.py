"""Write a guest's memory to a file, so that it can go on from there later.

QEMU runs in a sandbox without children and may not open files of the host, so the file is opened
here and handed over the monitor (``getfd``, ``migrate fd:``; QEMU 7.2, docs/devel/migration.rst).
The guest stands still meanwhile: the file then holds every page once.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from lodge.base.world import World
from lodge.drivers.instance.errors import DriverRefusedError, DriverTimeoutError, SuspendError
from lodge.drivers.instance.qemu.running import Running
from lodge.system.files import full_disk_told, sync_folder

__all__ = ["suspend"]

Progress = Callable[[int, int | None], None]

_STATUS_LIMIT_S: Final = 5.0
_POLL_S: Final = 0.02
_ANY_BANDWIDTH: Final = 1 << 40
_OVER: Final = frozenset({"completed", "failed", "cancelled", "none"})


async def suspend(running: Running, target: Path, world: World, progress: Progress) -> None:
    """Write memory and devices to ``target`` and end the process.

    ``target`` appears whole. A process that was left waiting after its memory was written (the
    daemon was killed just then) is only ended.

    Raises:
        SuspendError, DiskFullError: it could not be written; the guest goes on as before and no
            file is left.
        DriverTimeoutError: QEMU does not answer.
    """
    status = await running.status(timeout_s=_STATUS_LIMIT_S)
    if status != "postmigrate" or not target.exists():
        running.is_saving = True
        try:
            await _save(running, target, world, progress, was_running=status == "running")
        finally:
            running.is_saving = False
    await running.end("its memory was written to disk")


async def _save(
    running: Running, target: Path, world: World, progress: Progress, *, was_running: bool
) -> None:
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with full_disk_told(target):
            memory = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                await _write(running, memory, world, progress)
                await asyncio.to_thread(os.fsync, memory)
            finally:
                os.close(memory)
            partial.rename(target)
            sync_folder(target.parent)
    except BaseException as error:
        await _go_on(running, world, was_running=was_running)
        partial.unlink(missing_ok=True)
        if isinstance(error, DriverRefusedError | OSError):
            raise SuspendError(
                f"the memory could not be written to {target}: {error}", where=str(target)
            ) from error
        raise


async def _write(running: Running, memory: int, world: World, progress: Progress) -> None:
    execute = running.session.execute
    await execute("stop")
    await execute("migrate-set-parameters", {"max-bandwidth": _ANY_BANDWIDTH})
    await execute("getfd", {"fdname": "memory"}, send_fd=memory)
    await execute("migrate", {"uri": "fd:memory"})
    while True:
        state = await _migration(running)
        _report(state, progress)
        if state.get("status") in _OVER:
            break
        await world.sleep(_POLL_S)
    if state["status"] != "completed":
        why = state.get("error-desc", "no reason given")
        raise SuspendError(f"QEMU could not write the memory: {why}")


async def _migration(running: Running) -> Mapping[str, Any]:
    state = await running.session.execute("query-migrate", timeout_s=_STATUS_LIMIT_S)
    return state if isinstance(state, dict) and "status" in state else {"status": "none"}


def _report(state: Mapping[str, Any], progress: Progress) -> None:
    ram = state.get("ram")
    if isinstance(ram, dict):
        total = int(ram.get("total", 0))
        progress(total - int(ram.get("remaining", 0)), total)


async def _go_on(running: Running, world: World, *, was_running: bool) -> None:
    """Bring the guest back to where it was; a QEMU that died meanwhile has told so by itself."""
    with suppress(DriverTimeoutError, DriverRefusedError):
        await running.session.execute("migrate_cancel")
        while (await _migration(running))["status"] not in _OVER:
            await world.sleep(_POLL_S)
        if was_running:
            await running.session.execute("cont")

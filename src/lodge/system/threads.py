"""Blocking work beside the event loop, never left running behind its caller's back."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

__all__ = ["run_blocking"]

T = TypeVar("T")


async def run_blocking(work: Callable[[], T], /) -> T:
    """Run blocking work in a thread and return what it returns.

    A thread cannot be interrupted. When the caller is cancelled, the work is waited for first:
    otherwise it might still make a file after the caller's undo has removed it.
    """
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait({running})
            except asyncio.CancelledError:
                continue  # cancelled once more: the thread still has to end
        if not running.cancelled():
            running.exception()  # looked at, so that nobody warns that it was not
        raise

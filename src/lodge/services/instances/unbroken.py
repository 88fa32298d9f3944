"""Moves that a cancellation must not break off."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["unbroken"]

T = TypeVar("T")


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Await to the end, whoever cancels meanwhile; a cancellation is forgotten then."""
    inner = asyncio.ensure_future(work)
    while not inner.done():
        try:
            await asyncio.wait([inner])
        except asyncio.CancelledError:
            continue
    return inner.result()

"""Blocking work in worker threads that cancellation cannot leave running behind our back."""

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["in_own_thread", "in_thread"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run a short blocking function in a worker thread; a cancelled caller waits for its end.

    ``asyncio.to_thread`` alone returns at once when it is cancelled, and whoever cleans up then
    races with the thread, which goes on.
    """
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError:
                continue
        if not work.cancelled():
            work.exception()  # seen: nobody waits for it any more
        raise


def in_own_thread(function: Callable[[], _T]) -> _T:
    """Run in a thread made for this one call; its result or error is handed on.

    For what changes the thread itself (its namespace, its control group) and must end with it.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, name="own", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]

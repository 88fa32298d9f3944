"""Cancelling blocking work waits for its end."""

import asyncio
import threading

import pytest

from lodge.system.threads import in_thread


def test_a_cancelled_caller_returns_only_after_the_thread_has_ended() -> None:
    async def scenario() -> None:
        begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            may_end.wait(20)
            ended.set()
            raise RuntimeError("nobody hears this")

        task = asyncio.create_task(in_thread(work))
        await asyncio.to_thread(begun.wait, 20)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(scenario())


def test_results_and_errors_come_through() -> None:
    assert asyncio.run(in_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(divmod, 7, 0))

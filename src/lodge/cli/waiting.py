"""Start a change and wait for its task: the one way all changing commands go."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from lodge.cli.errors import InterruptedWaitError

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser

__all__ = ["add_wait_options", "await_task", "carry_out"]

QUICK_S = 0.3
"""Most changes are over within this time: one request does for both asking and waiting."""


def add_wait_options(parser: Parser) -> None:
    """Add ``--no-wait``, ``--wait-timeout`` and ``--format``."""
    parser.add_argument("--no-wait", action="store_true", help="print the task and return at once")
    parser.add_argument(
        "--wait-timeout", type=float, metavar="SECONDS", help="stop waiting (the task goes on)"
    )
    parser.add_argument(
        "--format", choices=("text", "json"), default="text", help="json prints the task (text)"
    )


def carry_out(
    invocation: Invocation,
    args: Namespace,
    title: str,
    start: Callable[[float | None], Any],
    *,
    is_quiet: bool = False,
) -> Mapping[str, Any]:
    """Start a change and, unless ``--no-wait``, wait for its end; return the task.

    Args:
        invocation: where progress goes.
        args: the options of ``add_wait_options``.
        title: what is done, for the progress line.
        start: sends the request; gets how long the daemon may wait before it answers.
        is_quiet: no progress, because several changes run side by side.

    Raises:
        LodgeError: it failed, or was not finished in time.
        InterruptedWaitError: Ctrl-C while waiting.
    """
    answer = start(None if args.no_wait else QUICK_S)
    task: Mapping[str, Any] = answer["task"]
    if args.no_wait or task["state"] == "done":
        return task
    return await_task(invocation, task["id"], title, timeout_s=args.wait_timeout, is_quiet=is_quiet)


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """Note every Ctrl-C of a block, so that none is lost.

    Its exception may come while a library loads or something is cleaned up, where CPython and
    extension modules drop exceptions; who waits looks into the list as well.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted  # only the main thread gets signals
        return

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def await_task(
    invocation: Invocation,
    task_id: str,
    title: str,
    *,
    timeout_s: float | None = None,
    is_quiet: bool = False,
) -> Mapping[str, Any]:
    """Wait for a task with progress on standard error.

    Raises:
        LodgeError: it failed, was cancelled, or was not finished in time.
        InterruptedWaitError: Ctrl-C; the task goes on.
    """
    from lodge.cli.progress import ProgressLine

    line = ProgressLine(invocation.err, title, is_terminal=invocation.err.isatty())

    def show(task: Mapping[str, Any]) -> None:
        if interrupts:
            raise KeyboardInterrupt
        if task["state"] in ("running", "undoing", "queued"):
            line.show(task, invocation.now())

    try:
        with _noted_interrupts() as interrupts:
            task: Mapping[str, Any] = invocation.client.tasks.wait(
                task_id, timeout_s=timeout_s, progress=None if is_quiet else show
            )
        return task
    except KeyboardInterrupt:
        line.clear()
        raise InterruptedWaitError(
            f"stopped waiting; task {task_id} goes on",
            hint=f"lodge task follow {task_id}   or   lodge task cancel {task_id}",
        ) from None
    finally:
        line.clear()

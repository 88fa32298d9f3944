"""One verb for several names: side by side, each result told, none hides another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from lodge.base.errors import LodgeError
from lodge.cli.errors import PartlyFailedError

if TYPE_CHECKING:
    from lodge.cli.invocation import Invocation

__all__ = ["each_name"]

T = TypeVar("T")

AT_ONCE = 16


def each_name(
    invocation: Invocation,
    names: Sequence[str],
    act: Callable[[str], T],
    tell: Callable[[str, T], None],
) -> int:
    """Do something for every name and tell each result, in the order of the names.

    Raises:
        LodgeError: the only name failed.
        PartlyFailedError: some failed; each was told on standard error.
    """
    wanted = list(dict.fromkeys(names))
    if len(wanted) == 1:
        tell(wanted[0], act(wanted[0]))
        return 0
    from concurrent.futures import ThreadPoolExecutor

    from lodge.cli.failures import exit_status, failure_text

    first = 0
    pool = ThreadPoolExecutor(max_workers=min(AT_ONCE, len(wanted)))
    try:
        for name, running in [(name, pool.submit(act, name)) for name in wanted]:
            try:
                tell(name, running.result())
            except LodgeError as error:
                first = first or exit_status(error)
                invocation.tell(failure_text(error))
    finally:
        # After Ctrl-C nobody waits for the threads: their tasks go on in the daemon.
        pool.shutdown(wait=False, cancel_futures=True)
    if first:
        failure = PartlyFailedError("not everything could be done")
        failure.exit_status = first
        raise failure
    return 0

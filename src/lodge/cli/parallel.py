"""One verb for several names: side by side, each result told, none hides another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from lodge.base.errors import LodgeError
from lodge.cli.errors import InterruptedWaitError, PartlyFailedError

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
        InterruptedWaitError: Ctrl-C; what was begun goes on in the daemon.
    """
    wanted = list(dict.fromkeys(names))
    if len(wanted) == 1:
        tell(wanted[0], act(wanted[0]))
        return 0
    from lodge.cli.failures import exit_status, failure_text

    first = 0
    for name, running in _begin(wanted, act):
        try:
            tell(name, running.result())
        except LodgeError as error:
            first = first or exit_status(error)
            invocation.tell(failure_text(error))
        except KeyboardInterrupt:
            raise InterruptedWaitError(
                "stopped waiting; what was begun goes on", hint="see: lodge task list"
            ) from None
    if first:
        failure = PartlyFailedError("not everything could be done")
        failure.exit_status = first
        raise failure
    return 0


class _Running(Generic[T]):
    """One action in a thread that ends with the program, whatever it waits for.

    (The standard library's pools wait for their threads at the end: Ctrl-C would hang.)
    """

    def __init__(self, act: Callable[[], T]) -> None:
        import threading

        self._act = act
        self._done = threading.Event()
        self._value: list[T] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._act())
        except BaseException as error:  # handed to the main thread by result()
            self._failure = error
        finally:
            self._done.set()

    def result(self) -> T:
        self._done.wait()
        if self._failure is not None:
            raise self._failure
        return self._value[0]


def _begin(names: Sequence[str], act: Callable[[str], T]) -> list[tuple[str, _Running[T]]]:
    import threading

    places = threading.Semaphore(AT_ONCE)

    def one(name: str) -> T:
        with places:
            return act(name)

    all_running = [(name, _Running(lambda name=name: one(name))) for name in names]  # type: ignore[misc]
    for _, running in all_running:
        running.start()
    return all_running

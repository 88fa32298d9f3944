"""Who may run next: all locks at once, first come first served, limits by kind; pure.

Each lock has a line. A task stands in the lines of all its locks from the moment it is added, and
may run when it is first in each; so nobody overtakes in a line, nobody starves, and no two tasks
wait for each other (the lines are all joined at one instant, in the same order).
"""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

__all__ = ["TaskQueue"]


@dataclass(slots=True)
class _Place:
    """One task that waits or runs. ``blocked_by``: the number of lines in which it is not first."""

    task_id: str
    number: int
    kind: str
    locks: tuple[str, ...]
    blocked_by: int = 0
    is_running: bool = False


class TaskQueue:
    """Tasks that wait and run, by id."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}
        self._lines: dict[str, deque[_Place]] = {}
        self._ready: dict[str, list[tuple[int, str]]] = {}
        self._running: Counter[str] = Counter()
        self._limits: dict[str, int] = {}
        self._added = 0

    def limit(self, kind: str, parallel: int) -> None:
        """Let at most so many tasks of a kind run at once."""
        self._limits[kind] = parallel

    def add(self, task_id: str, kind: str, locks: Iterable[str]) -> None:
        """Put a task at the end of the lines of its locks."""
        self._added += 1
        place = _Place(task_id, self._added, kind, tuple(sorted(set(locks))))
        self._places[task_id] = place
        for lock in place.locks:
            line = self._lines.setdefault(lock, deque())
            place.blocked_by += bool(line)
            line.append(place)
        self._note_ready(place)

    def take(self) -> list[str]:
        """Return the tasks that may run now, oldest first, and count them as running."""
        taken: list[tuple[int, str]] = []
        for kind, ready in self._ready.items():
            while ready and self._running[kind] < self._limits.get(kind, 1):
                number, task_id = heappop(ready)
                place = self._places.get(task_id)
                if place is not None and place.number == number:
                    place.is_running = True
                    self._running[kind] += 1
                    taken.append((number, task_id))
        return [task_id for _, task_id in sorted(taken)]

    def remove(self, task_id: str) -> None:
        """Forget a task that ended, or that was given up while it waited; idempotent."""
        place = self._places.pop(task_id, None)
        if place is None:
            return
        if place.is_running:
            self._running[place.kind] -= 1
        for lock in place.locks:
            self._leave(lock, place)

    def _leave(self, lock: str, place: _Place) -> None:
        line = self._lines[lock]
        was_first = line[0] is place
        line.remove(place)
        if not line:
            del self._lines[lock]
        elif was_first:
            line[0].blocked_by -= 1
            self._note_ready(line[0])

    def _note_ready(self, place: _Place) -> None:
        if place.blocked_by == 0:
            heappush(self._ready.setdefault(place.kind, []), (place.number, place.task_id))

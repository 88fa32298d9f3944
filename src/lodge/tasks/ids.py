"""Ids of tasks: short, unique, and in the order of creation when sorted as text."""

from lodge.base.names import TaskId
from lodge.base.world import World

__all__ = ["TaskIds"]

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: no letter that looks like a digit (https://www.crockford.com/base32.html)."""


class TaskIds:
    """Nine digits of milliseconds (enough until the year 3084), then four of chance."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last_ms = 0

    def next(self) -> TaskId:
        """Return an id larger than all before it."""
        self._last_ms = max(self._last_ms + 1, int(self._world.now() * 1000))
        chance = int.from_bytes(self._world.random_bytes(3))
        return TaskId(_written(self._last_ms, 9) + _written(chance, 4))


def _written(number: int, digits: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(digits)))

"""Values as people read them: durations, times, sizes, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["NOTHING", "duration", "human", "moment", "plain"]

NOTHING = "-"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LONG_DAYS = 14


def duration(seconds: float) -> str:
    """Tell a duration in at most two units.

    >>> duration(42), duration(750), duration(7380), duration(3 * 86400 + 7200), duration(9e6)
    ('42s', '12m', '2h 3m', '3d 2h', '104d')
    """
    left = max(0, int(seconds))
    if left < _MINUTE:
        return f"{left}s"
    if left < _HOUR:
        return f"{left // _MINUTE}m"
    if left < _DAY:
        hours, rest = divmod(left, _HOUR)
        return f"{hours}h {rest // _MINUTE}m" if rest >= _MINUTE else f"{hours}h"
    days, rest = divmod(left, _DAY)
    if days >= _LONG_DAYS:
        return f"{round(seconds / _DAY)}d"
    return f"{days}d {rest // _HOUR}h" if rest >= _HOUR else f"{days}d"


def moment(at: float) -> str:
    """Write a time as ISO 8601 in UTC, to the second.

    >>> moment(0)
    '1970-01-01T00:00:00Z'
    """
    import time

    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def human(value: Any, kind: str, now: float) -> str:
    """Write a value of a column's kind for a table."""
    if value is None or value in ("", [], {}):
        return NOTHING
    write = _KINDS.get(kind)
    return plain(value) if write is None else write(value, now)


def plain(value: Any) -> str:
    """Write a value without units, on one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(each) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{name}={plain(each)}" for name, each in value.items())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "".join(c if c.isprintable() else " " for c in str(value))


def _size(size_bytes: int) -> str:
    from lodge.base.units import format_size

    return format_size(size_bytes)


def _until(at: float, now: float) -> str:
    return f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"


_KINDS: dict[str, Callable[[Any, float], str]] = {
    "bytes": lambda value, _now: _size(int(value)),
    "mib": lambda value, _now: _size(int(value) << 20),
    "age": lambda value, now: duration(now - float(value)),
    "until": lambda value, now: _until(float(value), now),
    "seconds": lambda value, _now: duration(float(value)),
    "percent": lambda value, _now: f"{value} %",
    "short": lambda value, _now: str(value)[:12],
}

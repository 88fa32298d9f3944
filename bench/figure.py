"""What a benchmark finds: samples with median, min and max; ratios taken round by round."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Figure", "ratio"]


@dataclass(frozen=True, slots=True)
class Figure:
    """Samples of one thing.

    ``promise`` is its number in SPECIFICATION.md. ``limit`` is what is promised of the median;
    null: the figure only explains another. ``is_floor``: more is better.
    """

    promise: int
    what: str
    unit: str
    samples: Sequence[float]
    limit: float | None = None
    is_floor: bool = False

    @property
    def median(self) -> float:
        """The middle sample."""
        return statistics.median(self.samples)

    @property
    def is_kept(self) -> bool | None:
        """Whether the median keeps the promise; null without one."""
        if self.limit is None:
            return None
        return self.median >= self.limit if self.is_floor else self.median <= self.limit

    def spread(self) -> str:
        """Write median, min and max as ``12.3 [10.1-15.0]``."""
        low, high = min(self.samples), max(self.samples)
        return f"{_short(self.median)} [{_short(low)}-{_short(high)}]"

    def told_limit(self) -> str:
        """Write what is promised."""
        if self.limit is None:
            return ""
        return f"{'>=' if self.is_floor else '<='} {_short(self.limit)}"

    def facts(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "promise": self.promise,
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.samples),
            "max": max(self.samples),
            "samples": list(self.samples),
            "promised": self.told_limit() or None,
            "is_kept": self.is_kept,
        }


def ratio(
    promise: int, what: str, ours: Iterable[float], theirs: Iterable[float], limit: float | None
) -> Figure:
    """Compare two series that were measured in turn: one ratio for each round."""
    samples = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Figure(promise, what, "x", samples, limit)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"

"""Beside promise 14: the same with 10,000 instances; nothing is promised, it takes minutes."""

from bench.figure import Figure
from bench.promises.idle import measure_count

__all__ = ["measure"]


def measure(runs: int) -> list[Figure]:
    """Measure with 10,000 instances."""
    return measure_count(runs, 10_000)

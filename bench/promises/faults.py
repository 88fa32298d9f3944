"""Promise 22: the daemon killed at any step of any task leaves nothing broken.

Counted, not timed: the tests in ``tests/faults`` kill the engine and each service at every kill
point, start again, and look for disturbed guests, lost tasks and leftovers.
"""

from bench.figure import Figure
from bench.proof import run_tests

__all__ = ["measure"]


def measure(_runs: int) -> list[Figure]:
    """Run them once."""
    ran, failed = run_tests("tests/faults")
    return [
        Figure(22, "tests of deaths and faults: ran", "", [ran]),
        Figure(22, "tests of deaths and faults: failed", "", [failed], 0),
    ]

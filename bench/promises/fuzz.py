"""Promise 23: the API fuzzed against its own OpenAPI: no answer 5xx, no drift from the schema.

Counted, not timed: the test lets schemathesis make requests for a fixed time and checks every
answer's status, type and body.
"""

from bench.figure import Figure
from bench.proof import run_tests

__all__ = ["measure"]


def measure(_runs: int) -> list[Figure]:
    """Run it once."""
    ran, failed = run_tests("tests/integration", "-k", "fuzz or break_its_description")
    return [
        Figure(23, "fuzzing runs", "", [ran]),
        Figure(23, "fuzzing runs with a 5xx or a drift", "", [failed], 0),
    ]

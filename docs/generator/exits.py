"""How the command line ends."""

from generator.markdown import page, table
from lodge.cli.failures import EXIT_MEANINGS

__all__ = ["exit_codes_page"]

_ABOUT = """
`lodge exec` alone passes on the status of the command in the guest (128 + N when signal N killed
it). A command for several names
(`lodge start a b c`) does what it can and ends with the status of the first failure.

`lodged` ends with 0 when it was told to end, 1 when it could not start or go on, 2 when a setting
is wrong.
"""


def exit_codes_page() -> str:
    """One table."""
    rows = ((str(int(status)), meaning) for status, meaning in EXIT_MEANINGS.items())
    return page("Exit codes", _ABOUT, table(("status", "meaning"), rows))

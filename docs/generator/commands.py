"""The command line: its own package writes the page."""

from lodge.cli.reference import reference

__all__ = ["commands_page"]


def commands_page() -> str:
    """Every command below its heading."""
    return reference()

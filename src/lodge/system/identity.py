"""Numeric users and groups of guests' processes; no names in /etc/passwd are needed."""

from typing import Final

__all__ = ["CONVERTER_UID", "FIRST_GUEST_UID", "GUEST_GID", "LAST_GUEST_UID"]

CONVERTER_UID: Final = 599_998
"""User and group of programs that read disk files from somebody else; owns nothing lasting."""

GUEST_GID: Final = 599_999
"""Group of every guest's process: may read images, nothing else."""

FIRST_GUEST_UID: Final = 600_000
LAST_GUEST_UID: Final = 665_535
"""One uid per instance, so that no guest's process can touch another's files or memory."""

"""Numeric users and groups that Lodge gives to guests' processes; no names in /etc/passwd needed."""

from typing import Final

__all__ = ["FIRST_GUEST_UID", "GUEST_GID", "LAST_GUEST_UID"]

GUEST_GID: Final = 599_999
"""Group of every guest's process: may read images, nothing else."""

FIRST_GUEST_UID: Final = 600_000
LAST_GUEST_UID: Final = 665_535
"""One uid per instance, so that no guest's process can touch another's files or memory."""

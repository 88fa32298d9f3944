"""Names and ids: what a name may look like, and one type per kind of name."""

import re
from typing import NewType

from lodge.base.errors import InvalidError

__all__ = [
    "RESERVED_INSTANCE_NAMES",
    "ImageFingerprint",
    "InstanceId",
    "InstanceName",
    "InvalidNameError",
    "NetworkName",
    "PoolName",
    "ProfileName",
    "TaskId",
    "TokenId",
    "VolumeName",
    "check_instance_name",
    "check_name",
]

InstanceName = NewType("InstanceName", str)
InstanceId = NewType("InstanceId", str)
NetworkName = NewType("NetworkName", str)
PoolName = NewType("PoolName", str)
VolumeName = NewType("VolumeName", str)
ProfileName = NewType("ProfileName", str)
ImageFingerprint = NewType("ImageFingerprint", str)
TaskId = NewType("TaskId", str)
TokenId = NewType("TokenId", str)

RESERVED_INSTANCE_NAMES = frozenset(
    {"localhost", "gateway", "host", "lodge", "all", "none", "self"}
)
"""Names that DNS, the CLI or the gateway of a network already use."""

_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_WIDE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?")


class InvalidNameError(InvalidError):
    """A name has forbidden characters, a bad length, or is reserved."""

    code = "invalid_name"


def check_instance_name(text: str, *, where: str = "name") -> InstanceName:
    """Accept a name that is also a DNS label (RFC 1123, starting with a letter), or refuse it.

    Raises:
        InvalidNameError: the name is empty, too long, has other characters, or is reserved.
    """
    if not _LABEL.fullmatch(text):
        raise InvalidNameError(
            f"{text!r} is not a valid instance name",
            where=where,
            hint="use 1 to 63 lower-case letters, digits and hyphens, starting with a letter",
        )
    if text in RESERVED_INSTANCE_NAMES:
        raise InvalidNameError(f"{text!r} is a reserved name", where=where, hint="choose another")
    return InstanceName(text)


def check_name(text: str, *, what: str, where: str = "name") -> str:
    """Accept a name of a pool, volume, network, image alias or profile, or refuse it.

    Raises:
        InvalidNameError: not 1 to 63 of a-z, 0-9, ``.``, ``_``, ``-`` with alphanumeric ends.
    """
    if not _WIDE.fullmatch(text) or ".." in text:
        raise InvalidNameError(
            f"{text!r} is not a valid {what} name",
            where=where,
            hint="use 1 to 63 lower-case letters, digits, dots, hyphens and underscores,"
            " starting and ending with a letter or digit",
        )
    return text

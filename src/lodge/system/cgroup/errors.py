"""What can fail with control groups."""

from lodge.base.errors import UnavailableError

__all__ = ["CgroupError"]


class CgroupError(UnavailableError):
    """The kernel refused a change of a control group; the message carries its reason."""

    code = "cgroup_failed"
    hint_text = "see: lodge host check"

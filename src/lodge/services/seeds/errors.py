"""Why a cloud-init document is refused."""

from lodge.base.errors import InvalidError

__all__ = ["CloudInitInvalidError"]


class CloudInitInvalidError(InvalidError):
    """A cloud-init document or an SSH key is broken; told before any guest sees it.

    Inside a guest the same mistake would be a line in a log that nobody reads, and a machine
    that cannot be logged in to.
    """

    code = "cloud_init_invalid"
    hint_text = "correct it and try again; nothing was created"

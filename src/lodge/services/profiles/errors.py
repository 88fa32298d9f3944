"""What can be wrong with profiles."""

from lodge.base.errors import ConflictError, InvalidError, NotFoundError

__all__ = [
    "ProfileContestedError",
    "ProfileNotFoundError",
    "ProfileProtectedError",
    "UnknownProfileError",
]


class ProfileNotFoundError(NotFoundError):
    """No profile has that name."""

    code = "profile_not_found"
    hint_text = "list them with: lodge profile list"


class UnknownProfileError(InvalidError):
    """A request names a profile that does not exist."""

    code = "unknown_profile"
    hint_text = "list them with: lodge profile list"


class ProfileProtectedError(ConflictError):
    """The built-in profile can be changed, but not deleted."""

    code = "profile_protected"


class ProfileContestedError(ConflictError):
    """Others kept changing the profile at the same moment."""

    code = "profile_contested"
    retryable = True

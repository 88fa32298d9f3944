"""What can be wrong with who asks."""

from lodge.base.errors import (
    ConflictError,
    InvalidError,
    LimitError,
    NotFoundError,
    UnauthenticatedError,
)

__all__ = [
    "InvalidTokenError",
    "TokenContestedError",
    "TokenExpiredError",
    "TokenNameError",
    "TokenNotFoundError",
    "TooManyFailuresError",
]


class InvalidTokenError(UnauthenticatedError):
    """The token is malformed, unknown, or revoked; which of these is not told."""

    code = "invalid_token"
    hint_text = "make a new one on the host with: lodge token create"


class TokenExpiredError(UnauthenticatedError):
    """The token was right once; its time is over."""

    code = "token_expired"
    hint_text = "make a new one on the host with: lodge token create"


class TooManyFailuresError(LimitError):
    """The address tried wrong tokens; details carry the seconds to wait (``retry_after_s``)."""

    code = "too_many_failures"
    hint_text = "wait, then try again with a valid token"
    retryable = True


class TokenNotFoundError(NotFoundError):
    """No token has that id."""

    code = "token_not_found"
    hint_text = "list them with: lodge token list"


class TokenNameError(InvalidError):
    """The token's name is empty, too long, or has characters that do not print."""

    code = "invalid_token_name"


class TokenContestedError(ConflictError):
    """Somebody else changed the token at the same moment."""

    code = "token_contested"
    retryable = True

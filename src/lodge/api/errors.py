"""What can be wrong with a request before any service sees it."""

from lodge.base.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    LimitError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)

__all__ = [
    "BodyTooLargeError",
    "EndpointInUseError",
    "ForeignOriginError",
    "IdempotencyKeyReusedError",
    "IdempotencyUnsupportedError",
    "InvalidCursorError",
    "InvalidFieldError",
    "InvalidFilterError",
    "InvalidQueryError",
    "InvalidSortError",
    "LogNotFoundError",
    "MalformedBodyError",
    "MalformedPathError",
    "MalformedRequestError",
    "MethodNotAllowedError",
    "MissingTokenError",
    "NotRootError",
    "RequestTimeoutError",
    "RouteNotFoundError",
    "ScopeTooSmallError",
    "ScreenUnreachableError",
    "TaskCancelledError",
    "TaskFailedError",
    "TooBusyError",
    "UnconditionalRouteError",
    "WebSocketRequiredError",
    "WrongMediaTypeError",
]


class MalformedRequestError(InvalidError):
    """What came is not HTTP/1.1, or a header of it is broken."""

    code = "malformed_request"


class MalformedPathError(InvalidError):
    """A part of the path is not UTF-8, is empty, or has forbidden characters."""

    code = "malformed_path"


class MalformedBodyError(InvalidError):
    """The body is not JSON (RFC 8259): bad syntax, bad UTF-8, or nested too deeply."""

    code = "malformed_body"


class InvalidFieldError(InvalidError):
    """The body is JSON, but a field is missing, unknown, or has a wrong type or value."""

    code = "invalid_field"


class InvalidQueryError(InvalidError):
    """A query parameter is unknown, repeated, or has a wrong value."""

    code = "invalid_query"


class InvalidFilterError(InvalidError):
    """The filter of a list names an unknown field or a value that does not fit the field."""

    code = "invalid_filter"
    hint_text = "write field=value, field!=value, field~text, field>number; several with commas"


class InvalidSortError(InvalidError):
    """The sort order of a list names an unknown field or one that has no order."""

    code = "invalid_sort"
    hint_text = "write field or -field; several with commas"


class InvalidCursorError(InvalidError):
    """The cursor is not one that this list gave out for this filter and order."""

    code = "invalid_cursor"
    hint_text = "begin again without a cursor"


class BodyTooLargeError(LimitError):
    """The body is larger than this route takes."""

    code = "body_too_large"


class WrongMediaTypeError(UnsupportedError):
    """The body's media type is not the one this route takes."""

    code = "wrong_media_type"


class RouteNotFoundError(NotFoundError):
    """The path is not one of the API."""

    code = "route_not_found"
    hint_text = "see /v1/openapi.json for all paths"


class MethodNotAllowedError(UnsupportedError):
    """The path exists, but not with this method; details list the methods it has."""

    code = "method_not_allowed"


class WebSocketRequiredError(UnsupportedError):
    """The route speaks WebSocket (RFC 6455) only."""

    code = "websocket_required"


class RequestTimeoutError(UnavailableError):
    """The caller was too slow in sending the request."""

    code = "request_timeout"


class TooBusyError(UnavailableError):
    """As many connections or waiting requests are open as the daemon allows."""

    code = "too_busy"
    hint_text = "try again in a moment"


class ScopeTooSmallError(DeniedError):
    """The token is valid, but its scope does not include what the route needs."""

    code = "scope_too_small"


class NotRootError(DeniedError):
    """A process of another user than root reached the daemon's socket."""

    code = "not_root"


class MissingTokenError(UnauthenticatedError):
    """The request has no ``Authorization: Bearer`` header."""

    code = "missing_token"
    hint_text = "send the header: Authorization: Bearer lodge_..."


class IdempotencyUnsupportedError(InvalidError):
    """``Idempotency-Key`` came with a route that cannot keep it."""

    code = "idempotency_not_supported"


class LogNotFoundError(NotFoundError):
    """The instance keeps no log of that name; details list the names it has."""

    code = "log_not_found"


class ForeignOriginError(DeniedError):
    """A web page of another origin tried to open a WebSocket."""

    code = "foreign_origin"


class UnconditionalRouteError(InvalidError):
    """``If-Match`` came with a route that cannot keep the promise atomically."""

    code = "if_match_not_supported"


class IdempotencyKeyReusedError(ConflictError):
    """The ``Idempotency-Key`` was used before for another request."""

    code = "idempotency_key_reused"
    hint_text = "make a new key for every new request"


class ScreenUnreachableError(UnavailableError):
    """Nobody answers behind the instance's VNC socket."""

    code = "screen_unreachable"


class TaskFailedError(UnavailableError):
    """The task waited for has failed without saying why."""

    code = "task_failed"


class TaskCancelledError(ConflictError):
    """The task waited for was cancelled."""

    code = "task_cancelled"


class EndpointInUseError(UnavailableError):
    """The address or socket the API shall listen on is taken or cannot be had."""

    code = "endpoint_in_use"
    hint_text = "end the other program or choose another address in the configuration"
    retryable = False

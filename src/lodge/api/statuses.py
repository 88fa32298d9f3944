"""The one map from errors to HTTP statuses (RFC 9110, section 15)."""

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from lodge.api import errors
from lodge.base.errors import Category, LodgeError

__all__ = ["STATUS_BY_CATEGORY", "STATUS_BY_CODE", "status_of", "status_of_facts"]

# 5xx means that something is broken here. A host that cannot do something, or has no room for it,
# works as it should: the category in the body tells these apart from other refusals.
STATUS_BY_CATEGORY: Mapping[Category, HTTPStatus] = MappingProxyType(
    {
        Category.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
        Category.NOT_FOUND: HTTPStatus.NOT_FOUND,
        Category.CONFLICT: HTTPStatus.CONFLICT,
        Category.STATE: HTTPStatus.CONFLICT,
        Category.PRECONDITION: HTTPStatus.PRECONDITION_FAILED,
        Category.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
        Category.DENIED: HTTPStatus.FORBIDDEN,
        Category.LIMIT: HTTPStatus.CONFLICT,
        Category.UNSUPPORTED: HTTPStatus.UNPROCESSABLE_ENTITY,
        Category.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
        Category.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)

STATUS_BY_CODE: Mapping[str, HTTPStatus] = MappingProxyType(
    {
        errors.MalformedRequestError.code: HTTPStatus.BAD_REQUEST,
        errors.MalformedPathError.code: HTTPStatus.BAD_REQUEST,
        errors.MalformedBodyError.code: HTTPStatus.BAD_REQUEST,
        errors.InvalidQueryError.code: HTTPStatus.BAD_REQUEST,
        errors.InvalidFilterError.code: HTTPStatus.BAD_REQUEST,
        errors.InvalidSortError.code: HTTPStatus.BAD_REQUEST,
        errors.InvalidCursorError.code: HTTPStatus.BAD_REQUEST,
        errors.UnconditionalRouteError.code: HTTPStatus.BAD_REQUEST,
        errors.IdempotencyUnsupportedError.code: HTTPStatus.BAD_REQUEST,
        errors.BodyTooLargeError.code: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        errors.WrongMediaTypeError.code: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        errors.MethodNotAllowedError.code: HTTPStatus.METHOD_NOT_ALLOWED,
        errors.WebSocketRequiredError.code: HTTPStatus.UPGRADE_REQUIRED,
        errors.RequestTimeoutError.code: HTTPStatus.REQUEST_TIMEOUT,
        "too_many_failures": HTTPStatus.TOO_MANY_REQUESTS,
    }
)
"""Where HTTP has a more exact word than the category's."""


def status_of(error: LodgeError) -> HTTPStatus:
    """Return the status for an error."""
    return STATUS_BY_CODE.get(error.code) or STATUS_BY_CATEGORY[error.category]


def status_of_facts(facts: Mapping[str, object]) -> HTTPStatus:
    """Return the status for an error stored in a task (``LodgeError.as_dict``)."""
    code, category = str(facts.get("code", "")), str(facts.get("category", ""))
    if code in STATUS_BY_CODE:
        return STATUS_BY_CODE[code]
    if category in set(Category):
        return STATUS_BY_CATEGORY[Category(category)]
    return HTTPStatus.INTERNAL_SERVER_ERROR

"""Conditional requests (RFC 9110, section 13): ``If-Match`` and ``If-None-Match``."""

import re

from aiohttp import web

from lodge.api.errors import MalformedRequestError, UnconditionalRouteError
from lodge.api.route import Route

__all__ = ["is_unchanged", "wanted_revision"]

_TAG = re.compile(r'"?(?P<revision>\d{1,18})(?:-[0-9a-f]{1,32})?"?')


def wanted_revision(request: web.BaseRequest, route: Route) -> int | None:
    """Return the revision a change is meant for; null when the caller does not say.

    Raises:
        UnconditionalRouteError: the route cannot keep the condition, so it must not act.
        MalformedRequestError: it is not one entity tag of this API.
    """
    text = request.headers.get("If-Match")
    if text is None or text.strip() == "*":
        return None
    if not route.is_guarded:
        raise UnconditionalRouteError(
            f"{route.name} does not keep If-Match", where="If-Match", hint="send it without"
        )
    match = _TAG.fullmatch(text.strip())
    if match is None:
        raise MalformedRequestError(
            "this is not one entity tag of this API", where="If-Match", hint="send one ETag you got"
        )
    return int(match["revision"])


def is_unchanged(request: web.BaseRequest, tag: str) -> bool:
    """Whether the caller holds exactly this representation already (weak comparison)."""
    text = request.headers.get("If-None-Match")
    if text is None:
        return False
    held = {part.strip().removeprefix("W/") for part in text.split(",")}
    return "*" in held or tag in held

"""The API itself, the host, and the daemon's settings."""

from typing import Any

from lodge.api.call import Call
from lodge.api.listing.page import Listing
from lodge.api.replies import BytesReply, JsonReply, ListReply, Reply
from lodge.api.route import Answer, BodyKind, ListQuery, Route
from lodge.model.answers import ApiAnswer, ConfigChange, Setting
from lodge.model.host import Capability, Host
from lodge.model.token import Scope

__all__ = ["ROUTES"]


async def show_api(call: Call) -> Reply:
    """Which API this is, and who the caller is taken for."""
    return JsonReply(
        ApiAnswer(
            api_version="v1",
            lodge_version=call.around.lodge_version,
            is_authenticated=call.scope is not None,
            name=call.actor.name or None,
            scope=call.scope,
        )
    )


async def show_openapi(call: Call) -> Reply:
    """The description of this API."""
    return BytesReply(call.around.openapi(), "application/json")


async def show_host(call: Call) -> Reply:
    """This machine."""
    return JsonReply(await call.services.hosts.show())


async def check_host(call: Call) -> Reply:
    """What this machine can do."""
    return ListReply(await call.services.hosts.check())


async def list_settings(call: Call) -> Reply:
    """All settings."""
    return ListReply(call.services.settings.list())


async def change_settings(call: Call) -> Reply:
    """Change some; all or, when one is wrong, only those before it."""
    change: ConfigChange = call.body
    for name, value in change.settings.items():
        await call.services.settings.set(name, value, call.actor)
    changed = [item for item in call.services.settings.list() if item.name in change.settings]
    return JsonReply(changed)


ROUTES = (
    Route(
        method="GET",
        path="/",
        name="api.show",
        scope=None,
        summary="Show the API's version and who the caller is taken for",
        handler=show_api,
        value=ApiAnswer,
    ),
    Route(
        method="GET",
        path="/openapi.json",
        name="api.openapi",
        scope=None,
        summary="Show this description of the API (OpenAPI 3.1)",
        handler=show_openapi,
        value=dict[str, Any],
    ),
    Route(
        method="GET",
        path="/host",
        name="hosts.show",
        scope=Scope.READ,
        summary="Show this machine",
        handler=show_host,
        value=Host,
    ),
    Route(
        method="GET",
        path="/host/check",
        name="hosts.check",
        scope=Scope.READ,
        summary="List what this machine can do, as probed",
        handler=check_host,
        answer=Answer.LIST,
        value=Capability,
        query=ListQuery,
        listing=Listing(Capability),
    ),
    Route(
        method="GET",
        path="/config",
        name="config.list",
        scope=Scope.ADMIN,
        summary="List the daemon's settings",
        handler=list_settings,
        answer=Answer.LIST,
        value=Setting,
        query=ListQuery,
        listing=Listing(Setting),
    ),
    Route(
        method="PATCH",
        path="/config",
        name="config.change",
        scope=Scope.ADMIN,
        summary="Change settings of the daemon",
        handler=change_settings,
        value=list[Setting],
        body=ConfigChange,
        body_kind=BodyKind.JSON,
        examples={"level": {"settings": {"log_level": "debug"}}},
    ),
)

"""``/profiles``."""

from lodge.api.call import Call
from lodge.api.listing.page import Listing
from lodge.api.replies import JsonReply, ListReply, NothingReply, Reply
from lodge.api.route import Answer, BodyKind, ListQuery, Route
from lodge.model.profile import Profile, ProfileSpec
from lodge.model.token import Scope

__all__ = ["ROUTES"]


async def list_profiles(call: Call) -> Reply:
    """All profiles."""
    return ListReply(call.services.profiles.list())


async def show_profile(call: Call) -> Reply:
    """One profile."""
    profile, revision = call.services.profiles.entry(call.path["name"])
    return JsonReply(profile, revision)


async def put_profile(call: Call) -> Reply:
    """Create or replace one."""
    name = call.path["name"]
    await call.services.profiles.put(name, call.body, call.actor, revision=call.revision)
    profile, revision = call.services.profiles.entry(name)
    return JsonReply(profile, revision)


async def delete_profile(call: Call) -> Reply:
    """Remove one."""
    await call.services.profiles.delete(call.path["name"], call.actor, revision=call.revision)
    return NothingReply()


ROUTES = (
    Route(
        method="GET",
        path="/profiles",
        name="profiles.list",
        scope=Scope.READ,
        summary="List profiles",
        handler=list_profiles,
        answer=Answer.LIST,
        value=Profile,
        query=ListQuery,
        listing=Listing(Profile),
    ),
    Route(
        method="GET",
        path="/profiles/{name}",
        name="profiles.get",
        scope=Scope.READ,
        summary="Show a profile",
        handler=show_profile,
        value=Profile,
    ),
    Route(
        method="PUT",
        path="/profiles/{name}",
        name="profiles.put",
        scope=Scope.WRITE,
        summary="Create or replace a profile",
        handler=put_profile,
        value=Profile,
        body=ProfileSpec,
        body_kind=BodyKind.JSON,
        is_guarded=True,
        examples={"large": {"description": "for databases", "cpus": 8, "memory_mib": 16384}},
    ),
    Route(
        method="DELETE",
        path="/profiles/{name}",
        name="profiles.delete",
        scope=Scope.WRITE,
        summary="Delete a profile",
        handler=delete_profile,
        answer=Answer.NOTHING,
        is_guarded=True,
    ),
)

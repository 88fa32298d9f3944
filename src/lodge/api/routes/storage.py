"""``/pools`` and ``/volumes``."""

from typing import Annotated

from msgspec import Meta

from lodge.api.call import Call
from lodge.api.listing.page import Listing
from lodge.api.replies import JsonReply, ListReply, Reply, TaskReply
from lodge.api.route import Answer, BodyKind, ListQuery, Route, TaskQuery
from lodge.model.answers import VolumeResize
from lodge.model.storage import Pool, PoolCreate, PoolUsage, Volume, VolumeCreate, VolumeUsage
from lodge.model.token import Scope

__all__ = ["ROUTES"]

_VOLUME = "/pools/{pool}/volumes/{name}"


class VolumeListQuery(ListQuery, frozen=True, kw_only=True):
    """Which volumes."""

    pool: (
        Annotated[str, Meta(min_length=1, max_length=63, description="only those of one pool")]
        | None
    ) = None


async def list_pools(call: Call) -> Reply:
    """All pools."""
    return ListReply(call.services.pools.list())


async def create_pool(call: Call) -> Reply:
    """Create one."""
    return TaskReply(await call.services.pools.create(call.body, call.actor))


async def show_pool(call: Call) -> Reply:
    """One pool."""
    return JsonReply(call.services.pools.get(call.path["name"]))


async def delete_pool(call: Call) -> Reply:
    """Remove one."""
    return TaskReply(await call.services.pools.delete(call.path["name"], call.actor))


async def show_pool_usage(call: Call) -> Reply:
    """How full it is."""
    return JsonReply(await call.services.pools.usage(call.path["name"]))


async def list_volumes(call: Call) -> Reply:
    """All volumes."""
    return ListReply(call.services.volumes.list(call.query.pool))


async def create_volume(call: Call) -> Reply:
    """Create one."""
    return TaskReply(await call.services.volumes.create(call.body, call.actor))


async def show_volume(call: Call) -> Reply:
    """One volume."""
    return JsonReply(call.services.volumes.get(call.path["pool"], call.path["name"]))


async def resize_volume(call: Call) -> Reply:
    """Grow one."""
    pool, name = call.path["pool"], call.path["name"]
    return TaskReply(
        await call.services.volumes.resize(pool, name, call.body.size_bytes, call.actor)
    )


async def delete_volume(call: Call) -> Reply:
    """Remove one."""
    return TaskReply(
        await call.services.volumes.delete(call.path["pool"], call.path["name"], call.actor)
    )


async def show_volume_usage(call: Call) -> Reply:
    """What it takes on disk."""
    return JsonReply(await call.services.volumes.usage(call.path["pool"], call.path["name"]))


_POOLS = (
    Route(
        method="GET",
        path="/pools",
        name="pools.list",
        scope=Scope.READ,
        summary="List storage pools",
        handler=list_pools,
        answer=Answer.LIST,
        value=Pool,
        query=ListQuery,
        listing=Listing(Pool),
    ),
    Route(
        method="POST",
        path="/pools",
        name="pools.create",
        scope=Scope.ADMIN,
        summary="Create a storage pool in a folder of the host",
        handler=create_pool,
        answer=Answer.TASK,
        query=TaskQuery,
        body=PoolCreate,
        body_kind=BodyKind.JSON,
        examples={"btrfs": {"name": "fast", "driver": "btrfs", "path": "/srv/fast"}},
    ),
    Route(
        method="GET",
        path="/pools/{name}",
        name="pools.get",
        scope=Scope.READ,
        summary="Show a storage pool",
        handler=show_pool,
        value=Pool,
    ),
    Route(
        method="DELETE",
        path="/pools/{name}",
        name="pools.delete",
        scope=Scope.ADMIN,
        summary="Delete an empty storage pool",
        handler=delete_pool,
        answer=Answer.TASK,
        query=TaskQuery,
    ),
    Route(
        method="GET",
        path="/pools/{name}/usage",
        name="pools.usage",
        scope=Scope.READ,
        summary="Show how full a storage pool is",
        handler=show_pool_usage,
        value=PoolUsage,
    ),
)

_VOLUMES = (
    Route(
        method="GET",
        path="/volumes",
        name="volumes.list",
        scope=Scope.READ,
        summary="List volumes",
        handler=list_volumes,
        answer=Answer.LIST,
        value=Volume,
        query=VolumeListQuery,
        listing=Listing(Volume, ("pool", "name")),
    ),
    Route(
        method="POST",
        path="/volumes",
        name="volumes.create",
        scope=Scope.WRITE,
        summary="Create an empty volume, or a linked clone of an image",
        handler=create_volume,
        answer=Answer.TASK,
        query=TaskQuery,
        body=VolumeCreate,
        body_kind=BodyKind.JSON,
        examples={"empty": {"name": "data", "pool": "default", "size_bytes": 10737418240}},
    ),
    Route(
        method="GET",
        path=_VOLUME,
        name="volumes.get",
        scope=Scope.READ,
        summary="Show a volume",
        handler=show_volume,
        value=Volume,
    ),
    Route(
        method="PATCH",
        path=_VOLUME,
        name="volumes.resize",
        scope=Scope.WRITE,
        summary="Grow a volume",
        handler=resize_volume,
        answer=Answer.TASK,
        query=TaskQuery,
        body=VolumeResize,
        body_kind=BodyKind.JSON,
        examples={"grow": {"size_bytes": 21474836480}},
    ),
    Route(
        method="DELETE",
        path=_VOLUME,
        name="volumes.delete",
        scope=Scope.WRITE,
        summary="Delete a volume that no instance owns",
        handler=delete_volume,
        answer=Answer.TASK,
        query=TaskQuery,
    ),
    Route(
        method="GET",
        path=f"{_VOLUME}/usage",
        name="volumes.usage",
        scope=Scope.READ,
        summary="Show what a volume takes on disk",
        handler=show_volume_usage,
        value=VolumeUsage,
    ),
)

ROUTES = (*_POOLS, *_VOLUMES)

"""Endpoints of storage pools and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lodge.client.call import Call, change_call, path
from lodge.client.endpoint import Endpoint, Group, ListEndpoint

if TYPE_CHECKING:
    from lodge.model.answers import Page
    from lodge.model.requests import TaskAnswer
    from lodge.model.storage import (
        Pool,
        PoolCreate,
        PoolUsage,
        Volume,
        VolumeCreate,
        VolumeUsage,
    )

__all__ = ["Pools", "Volumes"]

D = TypeVar("D")


class Pools(Group[D]):
    """Storage pools."""

    @ListEndpoint
    def list(
        self,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[Pool]]:
        """List pools."""
        return Call("GET", path("pools"), query={"filter": where, "sort": sort, "limit": limit})

    @Endpoint
    def get(self, name: str) -> Call[Pool]:
        """Show one pool."""
        return Call("GET", path("pools", name))

    @Endpoint
    def usage(self, name: str) -> Call[PoolUsage]:
        """Tell how full a pool is."""
        return Call("GET", path("pools", name, "usage"))

    @Endpoint
    def create(self, request: PoolCreate, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Create a pool."""
        return change_call("POST", path("pools"), wait_s=wait_s, body=request)

    @Endpoint
    def delete(self, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Delete an empty pool."""
        return change_call("DELETE", path("pools", name), wait_s=wait_s)


class Volumes(Group[D]):
    """Volumes, named by pool and name."""

    @ListEndpoint
    def list(
        self,
        pool: str | None = None,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[Volume]]:
        """List all volumes, or those of one pool."""
        return Call(
            "GET",
            path("volumes"),
            query={"pool": pool, "filter": where, "sort": sort, "limit": limit},
        )

    @Endpoint
    def get(self, pool: str, name: str) -> Call[Volume]:
        """Show one volume."""
        return Call("GET", path("pools", pool, "volumes", name))

    @Endpoint
    def usage(self, pool: str, name: str) -> Call[VolumeUsage]:
        """Tell what a volume takes on disk."""
        return Call("GET", path("pools", pool, "volumes", name, "usage"))

    @Endpoint
    def create(self, request: VolumeCreate, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Create an empty volume or a linked clone of an image."""
        return change_call("POST", path("volumes"), wait_s=wait_s, body=request)

    @Endpoint
    def resize(
        self, pool: str, name: str, size_bytes: int, *, wait_s: float | None = None
    ) -> Call[TaskAnswer]:
        """Grow a volume."""
        return change_call(
            "PATCH",
            path("pools", pool, "volumes", name),
            wait_s=wait_s,
            body={"size_bytes": size_bytes},
        )

    @Endpoint
    def delete(self, pool: str, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Delete a volume that no instance owns."""
        return change_call(
            "DELETE",
            path("pools", pool, "volumes", name),
            wait_s=wait_s,
        )

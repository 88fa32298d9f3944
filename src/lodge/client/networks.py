"""Endpoints of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lodge.client.call import Call, change_call, path
from lodge.client.endpoint import Endpoint, Group, ListEndpoint

if TYPE_CHECKING:
    from lodge.model.answers import Page
    from lodge.model.network import Lease, Network, NetworkCreate, NetworkStatus
    from lodge.model.requests import TaskAnswer

__all__ = ["Networks"]

D = TypeVar("D")


class Networks(Group[D]):
    """Networks with their own router, DHCP and DNS."""

    @ListEndpoint
    def list(
        self,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[Network]]:
        """List networks."""
        return Call("GET", path("networks"), query={"filter": where, "sort": sort, "limit": limit})

    @Endpoint
    def get(self, name: str) -> Call[Network]:
        """Show one network."""
        return Call("GET", path("networks", name))

    @Endpoint
    def status(self, name: str) -> Call[NetworkStatus]:
        """Tell whether a network works."""
        return Call("GET", path("networks", name, "status"))

    @ListEndpoint
    def leases(
        self,
        name: str,
        *,
        where: str = "",
        sort: str = "",
    ) -> Call[Page[Lease]]:
        """List the addresses given to instances."""
        return Call("GET", path("networks", name, "leases"), query={"filter": where, "sort": sort})

    @Endpoint
    def create(self, request: NetworkCreate, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Create a network."""
        return change_call("POST", path("networks"), wait_s=wait_s, body=request)

    @Endpoint
    def delete(self, name: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Delete a network that no instance uses."""
        return change_call("DELETE", path("networks", name), wait_s=wait_s)

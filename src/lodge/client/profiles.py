"""Endpoints of profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lodge.client.call import Call, path
from lodge.client.endpoint import Endpoint, Group, ListEndpoint
from lodge.client.instances import if_match

if TYPE_CHECKING:
    from lodge.model.answers import Page
    from lodge.model.profile import Profile, ProfileSpec

__all__ = ["Profiles"]

D = TypeVar("D")


class Profiles(Group[D]):
    """Reusable partial specs of instances."""

    @ListEndpoint
    def list(
        self,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[Profile]]:
        """List profiles."""
        return Call("GET", path("profiles"), query={"filter": where, "sort": sort, "limit": limit})

    @Endpoint
    def get(self, name: str) -> Call[Profile]:
        """Show one profile."""
        return Call("GET", path("profiles", name))

    @Endpoint
    def put(self, name: str, spec: ProfileSpec, *, revision: int | None = None) -> Call[Profile]:
        """Create or replace a profile."""
        return Call("PUT", path("profiles", name), body=spec, headers=if_match(revision))

    @Endpoint
    def delete(self, name: str, *, revision: int | None = None) -> Call[None]:
        """Delete a profile; instances made from it stay as they are."""
        return Call("DELETE", path("profiles", name), headers=if_match(revision))

"""Endpoints of images and the catalogue."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, TypeVar

from lodge.client.call import Call, Octets, change_call, path
from lodge.client.endpoint import DownloadEndpoint, Endpoint, Group, ListEndpoint

if TYPE_CHECKING:
    from lodge.model.answers import Page
    from lodge.model.image import CatalogueEntry, Image, ImageAdd, ImageBuild
    from lodge.model.requests import TaskAnswer

__all__ = ["Images"]

D = TypeVar("D")


class Images(Group[D]):
    """Images. A reference is an alias or at least eight digits of a fingerprint."""

    @ListEndpoint
    def list(
        self,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[Image]]:
        """List images."""
        return Call("GET", path("images"), query={"filter": where, "sort": sort, "limit": limit})

    @Endpoint
    def get(self, reference: str) -> Call[Image]:
        """Show one image."""
        return Call("GET", path("images", reference))

    @Endpoint
    def add(self, request: ImageAdd, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Fetch an image from a URL, the catalogue, or a file on the host."""
        return change_call(
            "POST",
            path("images"),
            wait_s=wait_s,
            body=request,
        )

    @Endpoint
    def build(self, request: ImageBuild, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Build an image from distribution packages."""
        return change_call(
            "POST",
            path("images", "build"),
            wait_s=wait_s,
            body=request,
        )

    @Endpoint
    def upload(
        self,
        data: Octets,
        *,
        alias: str | None = None,
        format: str | None = None,  # noqa: A002 (the model's word)
        description: str = "",
    ) -> Call[TaskAnswer]:
        """Send an image's bytes; what cannot be one is refused at the first ones."""
        return Call(
            "POST",
            path("images", "upload"),
            query={"alias": alias, "format": format, "description": description},
            octets=data,
            timeout_s=600.0,
        )

    @DownloadEndpoint
    def download(self, reference: str) -> Call[bytes]:
        """Hand out the image's qcow2 file."""
        return Call("GET", path("images", reference, "file"), headers={"Accept": "*/*"})

    @Endpoint
    def set_aliases(self, reference: str, aliases: builtins.list[str]) -> Call[Image]:
        """Give the image exactly these aliases."""
        return Call("PATCH", path("images", reference), body={"aliases": aliases})

    @Endpoint
    def remove(self, reference: str, *, wait_s: float | None = None) -> Call[TaskAnswer]:
        """Remove an image that nobody uses."""
        return change_call("DELETE", path("images", reference), wait_s=wait_s)

    @ListEndpoint
    def catalogue(
        self,
        *,
        where: str = "",
        sort: str = "",
    ) -> Call[Page[CatalogueEntry]]:
        """List what can be fetched or built by name."""
        return Call("GET", path("catalogue"), query={"filter": where, "sort": sort})

"""``/images`` and ``/catalogue``."""

from typing import Annotated

from msgspec import Meta

from lodge.api.call import Call
from lodge.api.errors import ScopeTooSmallError
from lodge.api.listing.page import Listing
from lodge.api.replies import FileReply, JsonReply, ListReply, Reply, TaskReply
from lodge.api.route import Answer, BodyKind, ListQuery, Route, TaskQuery
from lodge.model.answers import AliasChange
from lodge.model.image import CatalogueEntry, Image, ImageAdd, ImageBuild, ImageFormat
from lodge.model.token import Scope

__all__ = ["ROUTES"]


class UploadQuery(TaskQuery, frozen=True, kw_only=True):
    """What the uploaded image is called."""

    alias: Annotated[str, Meta(min_length=1, max_length=63)] | None = None
    format: Annotated[ImageFormat, Meta(description="found by itself when left out")] | None = None
    description: Annotated[str, Meta(max_length=1024)] = ""


async def list_images(call: Call) -> Reply:
    """All images."""
    return ListReply(call.services.images.list())


async def show_image(call: Call) -> Reply:
    """One image."""
    return JsonReply(call.services.images.get(call.path["ref"]))


async def add_image(call: Call) -> Reply:
    """Fetch one; only what the catalogue names is for everybody who may write.

    The daemon reads files as root, and fetches addresses from the host's own place in the network:
    who may name any of them could bring home what was meant for the host alone.
    """
    request: ImageAdd = call.body
    if "/" in request.source and call.scope is not Scope.ADMIN:
        raise ScopeTooSmallError(
            f"{request.source[:200]!r} is not a name of the catalogue: that needs scope admin",
            where="source",
            hint="download the file and upload it, or ask an administrator",
        )
    return TaskReply(await call.services.images.add(call.body, call.actor))


async def build_image(call: Call) -> Reply:
    """Build one."""
    return TaskReply(await call.services.images.build(call.body, call.actor))


async def upload_image(call: Call) -> Reply:
    """Take one from the body."""
    query: UploadQuery = call.query
    task = await call.services.images.receive(
        call.chunks(),
        alias=query.alias,
        format=query.format,
        description=query.description,
        actor=call.actor,
    )
    return TaskReply(task)


async def change_image(call: Call) -> Reply:
    """Give it other aliases."""
    return JsonReply(
        await call.services.images.set_aliases(call.path["ref"], call.body.aliases, call.actor)
    )


async def delete_image(call: Call) -> Reply:
    """Remove one."""
    return TaskReply(await call.services.images.remove(call.path["ref"], call.actor))


async def export_image(call: Call) -> Reply:
    """Send its qcow2 file."""
    images, reference = call.services.images, call.path["ref"]
    fingerprint = images.get(reference).fingerprint
    return FileReply(images.file(reference), f"{fingerprint[:12]}.qcow2")


async def list_catalogue(call: Call) -> Reply:
    """What can be fetched or built by name."""
    return ListReply(call.services.images.catalogue())


ROUTES = (
    Route(
        method="GET",
        path="/images",
        name="images.list",
        scope=Scope.READ,
        summary="List images",
        handler=list_images,
        answer=Answer.LIST,
        value=Image,
        query=ListQuery,
        listing=Listing(Image, ("fingerprint",)),
    ),
    Route(
        method="POST",
        path="/images",
        name="images.add",
        scope=Scope.WRITE,
        summary="Fetch an image from the catalogue, or, with scope admin, from a URL or a file",
        handler=add_image,
        answer=Answer.TASK,
        query=TaskQuery,
        body=ImageAdd,
        body_kind=BodyKind.JSON,
        examples={
            "catalogue": {"source": "debian-12"},
            "url": {"source": "https://images.example.org/small.qcow2", "alias": "small"},
        },
    ),
    Route(
        method="POST",
        path="/images/build",
        name="images.build",
        scope=Scope.WRITE,
        summary="Build an image from distribution packages",
        handler=build_image,
        answer=Answer.TASK,
        query=TaskQuery,
        body=ImageBuild,
        body_kind=BodyKind.JSON,
        examples={"tiny": {"recipe": "tiny"}},
    ),
    Route(
        method="POST",
        path="/images/upload",
        name="images.upload",
        scope=Scope.WRITE,
        summary="Upload an image",
        handler=upload_image,
        answer=Answer.TASK,
        query=UploadQuery,
        body_kind=BodyKind.OCTETS,
    ),
    Route(
        method="GET",
        path="/images/{ref}",
        name="images.get",
        scope=Scope.READ,
        summary="Show an image, named by alias or by the beginning of its fingerprint",
        handler=show_image,
        value=Image,
    ),
    Route(
        method="PATCH",
        path="/images/{ref}",
        name="images.change",
        scope=Scope.WRITE,
        summary="Give an image other aliases",
        handler=change_image,
        value=Image,
        body=AliasChange,
        body_kind=BodyKind.JSON,
        examples={"aliases": {"aliases": ["debian-12", "web-base"]}},
    ),
    Route(
        method="DELETE",
        path="/images/{ref}",
        name="images.delete",
        scope=Scope.WRITE,
        summary="Remove an image that nothing uses",
        handler=delete_image,
        answer=Answer.TASK,
        query=TaskQuery,
    ),
    Route(
        method="GET",
        path="/images/{ref}/file",
        name="images.export",
        scope=Scope.READ,
        summary="Download an image as qcow2",
        handler=export_image,
        answer=Answer.OCTETS,
    ),
    Route(
        method="GET",
        path="/catalogue",
        name="catalogue.list",
        scope=Scope.READ,
        summary="List what can be fetched or built by name",
        handler=list_catalogue,
        answer=Answer.LIST,
        value=CatalogueEntry,
        query=ListQuery,
        listing=Listing(CatalogueEntry),
    ),
)

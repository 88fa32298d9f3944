"""``/instances``: the records and their changes."""

from typing import Annotated

from msgspec import Meta

from lodge.api.call import Call
from lodge.api.listing.page import Listing
from lodge.api.replies import JsonReply, ListReply, Reply, TaskReply
from lodge.api.route import Answer, BodyKind, ListQuery, Route, TaskQuery
from lodge.base.errors import ChangedMeanwhileError
from lodge.model.answers import DryRunAnswer
from lodge.model.requests import InstanceChange, InstanceCreate, InstanceView, Rename
from lodge.model.token import Scope

__all__ = ["ROUTES"]


class CreateQuery(TaskQuery, frozen=True, kw_only=True):
    """Whether to create or only to check."""

    dry_run: Annotated[bool, Meta(description="check only; nothing is created")] = False


class DeleteQuery(TaskQuery, frozen=True, kw_only=True):
    """Whether a running instance is stopped first."""

    force: Annotated[bool, Meta(description="stop it first when it runs")] = False


async def list_instances(call: Call) -> Reply:
    """All instances."""
    return ListReply(call.services.instances.list())


async def show_instance(call: Call) -> Reply:
    """One instance."""
    view = call.services.instances.get(call.path["name"])
    return JsonReply(view, view.revision)


async def create_instance(call: Call) -> Reply:
    """Create, or only check."""
    task = await call.services.instances.create(call.body, call.actor, dry_run=call.query.dry_run)
    if task is None:
        return JsonReply(DryRunAnswer(is_dry_run=True, action=call.route.name))
    return TaskReply(task)


async def change_instance(call: Call) -> Reply:
    """Change some fields."""
    _check_revision(call)
    return TaskReply(
        await call.services.instances.change(
            call.path["name"], call.body, call.actor, revision=call.revision
        )
    )


async def rename_instance(call: Call) -> Reply:
    """Give it another name."""
    _check_revision(call)
    return TaskReply(
        await call.services.instances.rename(
            call.path["name"], call.body, call.actor, revision=call.revision
        )
    )


async def delete_instance(call: Call) -> Reply:
    """Remove it."""
    task = await call.services.instances.delete(
        call.path["name"], call.actor, is_forced=call.query.force
    )
    return TaskReply(task)


def _check_revision(call: Call) -> None:
    """Refuse early; the task compares again, with its locks held."""
    name, wanted = call.path["name"], call.revision
    if wanted is None:
        return
    present = call.services.instances.get(name).revision
    if present != wanted:
        raise ChangedMeanwhileError(
            f"instance {name!r} is at revision {present}, not {wanted}",
            where=f"instances/{name}",
            revision=present,
        )


ROUTES = (
    Route(
        method="GET",
        path="/instances",
        name="instances.list",
        scope=Scope.READ,
        summary="List instances",
        handler=list_instances,
        answer=Answer.LIST,
        value=InstanceView,
        query=ListQuery,
        listing=Listing(InstanceView),
    ),
    Route(
        method="POST",
        path="/instances",
        name="instances.create",
        scope=Scope.WRITE,
        summary="Create an instance from an image",
        handler=create_instance,
        answer=Answer.TASK,
        value=DryRunAnswer,
        query=CreateQuery,
        body=InstanceCreate,
        body_kind=BodyKind.JSON,
        examples={
            "small": {"name": "web1", "image": "debian-12"},
            "cloud-init": {
                "name": "web2",
                "image": "debian-12",
                "cpus": 2,
                "memory_mib": 2048,
                "disk_bytes": 10737418240,
                "cloud_init": {
                    "user_data": "#cloud-config\npackages: [nginx]\n",
                    "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample ada@example.org"],
                },
            },
        },
    ),
    Route(
        method="GET",
        path="/instances/{name}",
        name="instances.get",
        scope=Scope.READ,
        summary="Show an instance",
        handler=show_instance,
        value=InstanceView,
    ),
    Route(
        method="PATCH",
        path="/instances/{name}",
        name="instances.change",
        scope=Scope.WRITE,
        summary="Change some fields of an instance",
        handler=change_instance,
        answer=Answer.TASK,
        query=TaskQuery,
        body=InstanceChange,
        body_kind=BodyKind.JSON,
        is_guarded=True,
        examples={"memory": {"memory_mib": 4096}, "boot": {"starts_at_boot": True}},
    ),
    Route(
        method="DELETE",
        path="/instances/{name}",
        name="instances.delete",
        scope=Scope.WRITE,
        summary="Delete an instance with everything it owns",
        handler=delete_instance,
        answer=Answer.TASK,
        query=DeleteQuery,
    ),
    Route(
        method="POST",
        path="/instances/{name}/rename",
        name="instances.rename",
        scope=Scope.WRITE,
        summary="Give an instance another name",
        handler=rename_instance,
        answer=Answer.TASK,
        query=TaskQuery,
        body=Rename,
        body_kind=BodyKind.JSON,
        is_guarded=True,
        examples={"rename": {"name": "web2"}},
    ),
)

"""``/tasks``."""

from lodge.api.answer import wait_for_task
from lodge.api.call import Call
from lodge.api.listing.page import Listing
from lodge.api.replies import JsonReply, ListReply, Reply
from lodge.api.route import Answer, ListQuery, Route, TaskQuery
from lodge.model.task import Task
from lodge.model.token import Scope

__all__ = ["ROUTES"]

_PAGE = 1000


async def list_tasks(call: Call) -> Reply:
    """All tasks in the history."""
    return ListReply(call.services.tasks.list())


async def show_task(call: Call) -> Reply:
    """One task, at its end when the caller waits for it."""
    task = call.services.tasks.get(call.path["id"])
    return JsonReply(await wait_for_task(call, task, call.query.wait))


async def cancel_task(call: Call) -> Reply:
    """Ask for its end."""
    return JsonReply(await call.services.tasks.cancel(call.path["id"], actor=call.actor))


ROUTES = (
    Route(
        method="GET",
        path="/tasks",
        name="tasks.list",
        scope=Scope.READ,
        summary="List tasks, newest first",
        handler=list_tasks,
        answer=Answer.LIST,
        value=Task,
        query=ListQuery,
        listing=Listing(Task, ("-created_at", "id"), _PAGE),
    ),
    Route(
        method="GET",
        path="/tasks/{id}",
        name="tasks.get",
        scope=Scope.READ,
        summary="Show a task; wait for its end when asked",
        handler=show_task,
        value=Task,
        query=TaskQuery,
    ),
    Route(
        method="POST",
        path="/tasks/{id}/cancel",
        name="tasks.cancel",
        scope=Scope.WRITE,
        summary="Ask for the end of a task; it undoes what it did",
        handler=cancel_task,
        value=Task,
    ),
)

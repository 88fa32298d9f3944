"""``/instances/{name}/<verb>``: what changes whether an instance runs."""

from collections.abc import Awaitable, Callable

from lodge.api.call import Call
from lodge.api.replies import Reply, TaskReply
from lodge.api.route import Answer, BodyKind, Handler, Route, TaskQuery
from lodge.api.services import Instances
from lodge.model.requests import ShutdownRequest
from lodge.model.task import Actor, Task
from lodge.model.token import Scope
from lodge.model.verbs import Verb

__all__ = ["ROUTES"]

_Act = Callable[[Instances, str, Actor], Awaitable[Task]]

_PLAIN: dict[Verb, tuple[str, _Act]] = {
    Verb.START: ("Run an instance", lambda service, name, actor: service.start(name, actor)),
    Verb.STOP: ("Pull the plug", lambda service, name, actor: service.stop(name, actor)),
    Verb.RESET: ("Press the reset button", lambda service, name, actor: service.reset(name, actor)),
    Verb.PAUSE: ("Freeze the vCPUs", lambda service, name, actor: service.pause(name, actor)),
    Verb.RESUME: (
        "Let a paused or suspended instance run again",
        lambda service, name, actor: service.resume(name, actor),
    ),
    Verb.SUSPEND: (
        "Put the memory on disk and stop",
        lambda service, name, actor: service.suspend(name, actor),
    ),
}


def _plain_handler(act: _Act) -> Handler:
    async def handle(call: Call) -> Reply:
        return TaskReply(await act(call.services.instances, call.path["name"], call.actor))

    return handle


async def shutdown_instance(call: Call) -> Reply:
    """Ask the guest to end."""
    return TaskReply(
        await call.services.instances.shutdown(call.path["name"], call.body, call.actor)
    )


async def restart_instance(call: Call) -> Reply:
    """Ask the guest to end, then run it again."""
    return TaskReply(
        await call.services.instances.restart(call.path["name"], call.body, call.actor)
    )


def _plain(verb: Verb, summary: str, act: _Act) -> Route:
    return Route(
        method="POST",
        path=f"/instances/{{name}}/{verb.value}",
        name=f"instances.{verb.value}",
        scope=Scope.WRITE,
        summary=summary,
        handler=_plain_handler(act),
        answer=Answer.TASK,
        query=TaskQuery,
    )


def _patient(verb: Verb, summary: str, handler: Handler) -> Route:
    return Route(
        method="POST",
        path=f"/instances/{{name}}/{verb.value}",
        name=f"instances.{verb.value}",
        scope=Scope.WRITE,
        summary=summary,
        handler=handler,
        answer=Answer.TASK,
        query=TaskQuery,
        body=ShutdownRequest,
        body_kind=BodyKind.JSON,
        is_optional_body=True,
        examples={"patient": {"timeout_s": 120, "is_forced": False}},
    )


ROUTES = (
    *(_plain(verb, summary, act) for verb, (summary, act) in _PLAIN.items()),
    _patient(Verb.SHUTDOWN, "Ask the guest to end", shutdown_instance),
    _patient(Verb.RESTART, "Shut the guest down, then run it again", restart_instance),
)

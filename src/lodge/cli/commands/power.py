"""The verbs of power: ``lodge start``, ``shutdown``, ``stop``, ``restart``, ``suspend``..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lodge.cli.parallel import each_name
from lodge.cli.parser import Command
from lodge.cli.waiting import add_wait_options, carry_out

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser
    from lodge.model.requests import ShutdownRequest

__all__ = ["COMMANDS"]

_DONE = {
    "start": "running",
    "stop": "stopped",
    "restart": "restarted",
    "reset": "reset",
    "pause": "paused",
    "resume": "running",
    "suspend": "suspended",
}
_DOING = {
    "start": "Starting",
    "shutdown": "Shutting down",
    "stop": "Stopping",
    "restart": "Restarting",
    "reset": "Resetting",
    "pause": "Pausing",
    "resume": "Resuming",
    "suspend": "Suspending",
}


def _add(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="+", help="which instances")
    add_wait_options(parser)


def _add_graceful(parser: Parser) -> None:
    _add(parser)
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="for the guest (60)"
    )
    parser.add_argument(
        "--force", action="store_true", help="pull the plug when the guest does not end in time"
    )


def _runner(verb: str) -> Callable[[Invocation, Namespace], int]:
    def run(invocation: Invocation, args: Namespace) -> int:
        return _run(invocation, args, verb)

    return run


def _run(invocation: Invocation, args: Namespace, verb: str) -> int:
    ask = _asking(invocation, args, verb)

    def act(name: str) -> Mapping[str, Any]:
        return carry_out(
            invocation,
            args,
            f"{_DOING[verb]} {name}",
            lambda wait_s: ask(name, wait_s),
            is_quiet=len(args.name) > 1,
        )

    def tell(name: str, task: Mapping[str, Any]) -> None:
        invocation.say(_said(args, verb, name, task))

    return each_name(invocation, args.name, act, tell)


def _asking(
    invocation: Invocation, args: Namespace, verb: str
) -> Callable[[str, float | None], Any]:
    method = getattr(invocation.client.instances, verb)
    if verb not in ("shutdown", "restart"):
        return lambda name, wait_s: method(name, wait_s=wait_s)
    request = _graceful_request(args)
    return lambda name, wait_s: method(name, request, wait_s=wait_s)


def _graceful_request(args: Namespace) -> ShutdownRequest:
    from lodge.model.requests import ShutdownRequest

    return ShutdownRequest(timeout_s=args.timeout, is_forced=args.force)


def _said(args: Namespace, verb: str, name: str, task: Mapping[str, Any]) -> str:
    if args.format == "json":
        from lodge.cli.formats import to_json

        return to_json(task)
    if args.no_wait:
        return f"{name}: task {task['id']}"
    result = task.get("result") or {}
    if verb not in ("shutdown", "restart") or "how" not in result:
        return f"{name}: {_DONE.get(verb, 'stopped')}"
    seconds = f"{float(result.get('seconds', 0)):g} s"
    if result["how"] == "forced":
        text = f"the guest did not end within {args.timeout:g} s, the plug was pulled"
    else:
        text = f"the guest shut down in {seconds}"
    return f"{name}: {text}" + (", then it was started" if verb == "restart" else "")


def _power(verb: str, summary: str, *more: str) -> Command:
    examples = (f"lodge {verb} web1", *more)
    return Command(verb, summary, _add, _runner(verb), examples)


def _graceful(verb: str, summary: str) -> Command:
    examples = (f"lodge {verb} web1", f"lodge {verb} web1 web2 --timeout 120 --force")
    return Command(verb, summary, _add_graceful, _runner(verb), examples)


COMMANDS = (
    _power("start", "Start instances, suspended ones where they left off", "lodge start web1 web2"),
    _graceful("shutdown", "Ask the guests to end, and wait for it"),
    _power("stop", "Pull the plug of instances"),
    _graceful("restart", "Shut instances down, then start them"),
    _power("reset", "Press the reset button of instances"),
    _power("pause", "Freeze instances, keeping their memory in RAM"),
    _power("resume", "Let paused or suspended instances go on"),
    _power("suspend", "Write the memory of instances to disk and stop them"),
)

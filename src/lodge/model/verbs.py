"""The state table of instances: in which observed state each verb is allowed.

Read by the services (to refuse), by the console (to grey out) and by the docs (to draw).
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from lodge.base.errors import StateError
from lodge.model.instance import Power

__all__ = ["ALLOWED", "Verb", "WrongInstanceStateError", "allowed_verbs", "check_verb"]


class Verb(StrEnum):
    """What can be done to an instance's power state."""

    START = "start"
    SHUTDOWN = "shutdown"
    STOP = "stop"
    RESTART = "restart"
    RESET = "reset"
    PAUSE = "pause"
    RESUME = "resume"
    SUSPEND = "suspend"
    DELETE = "delete"
    EXEC = "exec"


_RUNNING, _STOPPED = Power.RUNNING, Power.STOPPED
_PAUSED, _SUSPENDED = Power.PAUSED, Power.SUSPENDED

ALLOWED: Mapping[Verb, frozenset[Power]] = MappingProxyType(
    {
        Verb.START: frozenset({_STOPPED, _SUSPENDED}),
        Verb.SHUTDOWN: frozenset({_RUNNING}),
        Verb.STOP: frozenset({_RUNNING, _PAUSED, _SUSPENDED}),
        Verb.RESTART: frozenset({_RUNNING, _PAUSED}),
        Verb.RESET: frozenset({_RUNNING, _PAUSED}),
        Verb.PAUSE: frozenset({_RUNNING}),
        Verb.RESUME: frozenset({_PAUSED, _SUSPENDED}),
        Verb.SUSPEND: frozenset({_RUNNING, _PAUSED}),
        Verb.DELETE: frozenset({_STOPPED, _SUSPENDED}),
        Verb.EXEC: frozenset({_RUNNING}),
    }
)
"""Stop of a suspended instance throws its saved memory away; start of one brings it back."""


class WrongInstanceStateError(StateError):
    """A verb was refused because of the instance's present state."""

    code = "wrong_instance_state"


def check_verb(verb: Verb, name: str, seen: Power | None) -> None:
    """Let the verb pass, or refuse it naming the actual and the required state.

    Raises:
        WrongInstanceStateError: the verb is not allowed in that state.
    """
    if seen in ALLOWED[verb]:
        return
    actual = "unknown" if seen is None else seen.value
    required = sorted(power.value for power in ALLOWED[verb])
    raise WrongInstanceStateError(
        f"cannot {verb.value} instance {name!r}: it is {actual}, required: {' or '.join(required)}",
        where=f"instances/{name}",
        hint=f"see its state with: lodge show {name}",
        actual=actual,
        required=required,
    )


def allowed_verbs(seen: Power | None) -> list[Verb]:
    """List the verbs the present state allows, in the order of the table."""
    return [verb for verb, powers in ALLOWED.items() if seen in powers]

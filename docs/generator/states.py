"""The state table of instances."""

from collections.abc import Mapping

from generator.markdown import code, fence, page, table
from lodge.model.instance import InstanceState, Power
from lodge.model.verbs import ALLOWED, Verb

__all__ = ["AFTER", "states_page"]

_ABOUT = """
Which verb is allowed in which state. A refused verb (`wrong_instance_state`) names the state there
is and the states it needs. `delete --force` pulls the plug first. `stop` of a suspended instance
throws its saved memory away; `start` and `resume` bring it back.
"""

_WORDS = """
## Words in `lodge list`

The word is computed from what is wanted and what was seen; it is not stored anywhere.
"""

AFTER: Mapping[Verb, Power | None] = {
    Verb.START: Power.RUNNING,
    Verb.SHUTDOWN: Power.STOPPED,
    Verb.STOP: Power.STOPPED,
    Verb.RESTART: Power.RUNNING,
    Verb.RESET: None,
    Verb.PAUSE: Power.PAUSED,
    Verb.RESUME: Power.RUNNING,
    Verb.SUSPEND: Power.SUSPENDED,
    Verb.DELETE: None,
    Verb.EXEC: None,
}
"""The state a verb leads to; null where it stays as it is, or nothing is left to have one."""

_MEANINGS: Mapping[InstanceState, str] = {
    InstanceState.RUNNING: "it runs, as wanted",
    InstanceState.STOPPED: "nothing runs, as wanted",
    InstanceState.PAUSED: "it stands still, its memory stays in RAM",
    InstanceState.SUSPENDED: "its memory is on disk, nothing runs",
    InstanceState.MUST_START: "it should run and does not; `lodge show` says why",
    InstanceState.MUST_STOP: "it should not run and does",
    InstanceState.UNKNOWN: "nobody could look: QEMU does not answer, or the daemon just started",
    InstanceState.ERROR: "it cannot be used as it is; `lodge show` says why",
}


def states_page() -> str:
    """A table of verbs by state, a drawing, and the words people see."""
    head = ("verb", *(power.value for power in Power), "leads to")
    return page(
        "States of an instance",
        _ABOUT,
        table(head, (_row(verb) for verb in ALLOWED)),
        fence(_drawing(), "mermaid"),
        _WORDS,
        table(("word", "meaning"), ((code(word.value), _MEANINGS[word]) for word in InstanceState)),
    )


def _row(verb: Verb) -> tuple[str, ...]:
    marks = ["yes" if power in ALLOWED[verb] else "" for power in Power]
    after = AFTER[verb]
    return (code(verb.value), *marks, after.value if after else "")


def _drawing() -> str:
    lines = ["stateDiagram-v2", "    [*] --> stopped: create"]
    for verb, powers in ALLOWED.items():
        after = AFTER[verb]
        for power in (power for power in Power if power in powers):
            if verb is Verb.DELETE:
                lines.append(f"    {power.value} --> [*]: delete")
            elif after is not None and (after is not power or verb is Verb.RESTART):
                lines.append(f"    {power.value} --> {after.value}: {verb.value}")
    return "\n".join(lines)

"""What QEMU's events mean for the platform; pure.

Events: QEMU 7.2, qapi/run-state.json, qapi/block-core.json, qapi/char.json.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lodge.drivers.instance.contract import Ended, Signal
from lodge.model.instance import Power

__all__ = [
    "AGENT_CHARDEV",
    "AGENT_PORT",
    "AgentPort",
    "Ending",
    "Meaning",
    "agent_channel",
    "ending_of",
    "meaning",
    "power_of",
]

_Data = Mapping[str, Any]

AGENT_CHARDEV = "agent"
"""Id of the guest agent's channel."""

AGENT_PORT = "agent0"
"""Id of the virtio port that the guest agent opens."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The guest will not run again in this process."""

    why: Ended
    detail: str


@dataclass(frozen=True, slots=True)
class AgentPort:
    """The agent opened or closed its port."""

    is_open: bool


@dataclass(frozen=True, slots=True)
class Meaning:
    """A signal to send."""

    signal: Signal
    data: Mapping[str, Any] = field(default_factory=dict)


def meaning(event: str, data: _Data) -> Meaning | Ending | AgentPort | None:
    """Say what an event means, null when it means nothing to the platform."""
    read = _MEANINGS.get(event)
    return None if read is None else read(data)


def _shutdown(data: _Data) -> Ending:
    reason = str(data.get("reason", "unknown"))
    if reason == "guest-panic":
        return Ending(Ended.PANICKED, "the guest's kernel panicked")
    if data.get("guest") is True:
        return Ending(Ended.GUEST, f"the guest switched itself off ({reason})")
    if reason.startswith("host-qmp"):
        return Ending(Ended.ASKED, "it was stopped")
    return Ending(Ended.CRASHED, f"QEMU was ended from outside ({reason})")


def _panic(data: _Data) -> Ending | None:
    if data.get("action") == "run":
        return None
    info = data.get("info")
    kind = f" ({info['type']})" if isinstance(info, dict) and "type" in info else ""
    return Ending(Ended.PANICKED, f"the guest's kernel panicked{kind}")


def _io_error(data: _Data) -> Meaning:
    facts = {
        "node": str(data.get("node-name", "")),
        "device": str(data.get("device", "")),
        "operation": str(data.get("operation", "")),
        "reason": str(data.get("reason", "")),
        "is_paused": data.get("action") == "stop",
    }
    return Meaning(Signal.NO_SPACE if data.get("nospace") is True else Signal.IO_ERROR, facts)


def _agent_port(data: _Data) -> AgentPort | None:
    return AgentPort(data.get("open") is True) if data.get("id") == AGENT_PORT else None


_MEANINGS: Mapping[str, Callable[[_Data], Meaning | Ending | AgentPort | None]] = {
    "RESUME": lambda _data: Meaning(Signal.STARTED),
    "STOP": lambda _data: Meaning(Signal.PAUSED),
    "RESET": lambda data: Meaning(Signal.RESET, {"by_guest": data.get("guest") is True}),
    "SHUTDOWN": _shutdown,
    "GUEST_PANICKED": _panic,
    "BLOCK_IO_ERROR": _io_error,
    "VSERPORT_CHANGE": _agent_port,
}

_POWERS: Mapping[str, tuple[Power, str]] = {
    "running": (Power.RUNNING, ""),
    "suspended": (Power.RUNNING, "the guest sleeps (ACPI S3)"),
    "paused": (Power.PAUSED, ""),
    "prelaunch": (Power.PAUSED, "it was never let run"),
    "debug": (Power.PAUSED, "a debugger holds it"),
    "inmigrate": (Power.PAUSED, "its memory is being loaded"),
    "restore-vm": (Power.PAUSED, "its memory is being loaded"),
    "finish-migrate": (Power.PAUSED, "its memory is being written"),
    "postmigrate": (Power.PAUSED, "its memory was written"),
    "save-vm": (Power.PAUSED, "its memory is being written"),
    "io-error": (Power.PAUSED, "a disk could not be written"),
    "internal-error": (Power.PAUSED, "QEMU stopped the guest after an internal error"),
    "watchdog": (Power.PAUSED, "the guest's watchdog ran out"),
    "shutdown": (Power.STOPPED, "the guest switched itself off"),
    "guest-panicked": (Power.STOPPED, "the guest's kernel panicked"),
}
"""Run states of QEMU 7.2 (qapi/run-state.json, ``RunState``)."""


def power_of(status: str) -> tuple[Power | None, str]:
    """Translate QEMU's run state (``query-status``) into power and a reason for people."""
    return _POWERS.get(status, (None, f"QEMU reports the unknown state {status!r}"))


def agent_channel(chardevs: Any) -> AgentPort | None:
    """Find in an answer to ``query-chardev`` whether the agent has opened its port."""
    for chardev in chardevs if isinstance(chardevs, list) else []:
        if isinstance(chardev, dict) and chardev.get("label") == AGENT_CHARDEV:
            return AgentPort(chardev.get("frontend-open") is True)
    return None


def ending_of(status: str) -> Ending | None:
    """Say why a guest that waits in this run state has come to its end; null when it has not."""
    if status == "shutdown":
        return Ending(Ended.GUEST, "the guest switched itself off")
    if status == "guest-panicked":
        return Ending(Ended.PANICKED, "the guest's kernel panicked")
    return None

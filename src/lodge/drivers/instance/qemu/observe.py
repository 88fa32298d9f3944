"""Look at one running QEMU without ever waiting long for it."""

from contextlib import suppress
from typing import Any, Final

from lodge.base.world import World
from lodge.drivers.instance.contract import Observation
from lodge.drivers.instance.errors import (
    AgentError,
    AgentMissingError,
    DriverRefusedError,
    DriverTimeoutError,
)
from lodge.drivers.instance.qemu.agent.interfaces import addresses
from lodge.drivers.instance.qemu.events import power_of
from lodge.drivers.instance.qemu.running import Running
from lodge.model.instance import Power
from lodge.system.process import is_halted

__all__ = ["observe", "stopped"]

_STATUS_LIMIT_S: Final = 1.0
_AGENT_LIMIT_S: Final = 1.0
_KNOWN_FOR_S: Final = 15.0
_UNKNOWN_FOR_S: Final = 2.0


async def observe(running: Running, world: World) -> Observation:
    """Say what is seen now; a QEMU that does not answer is power None with the reason."""
    if not running.is_alive():
        return stopped(running)
    try:
        status = await running.status(timeout_s=_STATUS_LIMIT_S)
    except (DriverTimeoutError, DriverRefusedError) as error:
        if not running.is_alive():
            return stopped(running)
        halted = "its process was halted by a signal (SIGSTOP)"
        return _seen(running, None, halted if is_halted(running.handle.identity) else str(error))
    power, reason = power_of(status)
    if power is Power.RUNNING:
        await _ask_agent(running, world)
    elif status == "io-error" and await _is_out_of_space(running):
        reason = "no space left for a disk's writes"
    elif status == "paused":
        reason = running.pause_reason
    running.rotate_logs()
    return _seen(running, power, reason)


def stopped(running: Running) -> Observation:
    """Say that it is gone, and why."""
    ending = running.ending
    return Observation(power=Power.STOPPED, reason=ending.detail if ending else "")


def _seen(running: Running, power: Power | None, reason: str) -> Observation:
    handle = running.handle
    return Observation(
        power=power,
        started_at=handle.started_at,
        pid=handle.pid,
        accelerator=handle.accelerator,
        reason=reason,
        addresses=running.addresses,
        agent_answers=running.agent_answers,
    )


async def _is_out_of_space(running: Running) -> bool:
    with suppress(DriverTimeoutError, DriverRefusedError):
        disks: Any = await running.session.execute("query-block", timeout_s=_STATUS_LIMIT_S)
        return any(disk.get("io-status") == "nospace" for disk in disks)
    return False


async def _ask_agent(running: Running, world: World) -> None:
    """Learn the guest's addresses, rarely, and only from an agent that has opened its channel."""
    if not running.agent.is_open:
        running.agent_answers = False
        running.addresses = ()
        running.asked_agent_at = float("-inf")
        return
    known_for = _KNOWN_FOR_S if running.addresses else _UNKNOWN_FOR_S
    if world.monotonic() - running.asked_agent_at < known_for:
        return
    try:
        answer = await running.agent.call("guest-network-get-interfaces", timeout_s=_AGENT_LIMIT_S)
        running.addresses = addresses(answer)
        running.agent_answers = True
    except AgentError:
        running.agent_answers = True  # it said no, but it spoke
    except AgentMissingError:
        running.agent_answers = False
    running.asked_agent_at = world.monotonic()

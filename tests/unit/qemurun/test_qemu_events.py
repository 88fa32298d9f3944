"""What QEMU's events and run states mean."""

from typing import Any

import pytest

from lodge.drivers.instance.contract import Ended, Signal
from lodge.drivers.instance.qemu.events import (
    AgentPort,
    Ending,
    Meaning,
    agent_channel,
    ending_of,
    meaning,
    power_of,
)
from lodge.model.instance import Power

ENDS: list[tuple[str, dict[str, Any], Ended]] = [
    ("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"}, Ended.GUEST),
    ("SHUTDOWN", {"guest": False, "reason": "host-qmp-quit"}, Ended.ASKED),
    ("SHUTDOWN", {"guest": False, "reason": "host-signal"}, Ended.CRASHED),
    ("SHUTDOWN", {"guest": True, "reason": "guest-panic"}, Ended.PANICKED),
    ("SHUTDOWN", {}, Ended.CRASHED),
    ("GUEST_PANICKED", {"action": "pause"}, Ended.PANICKED),
    ("GUEST_PANICKED", {"action": "pause", "info": {"type": "hyper-v"}}, Ended.PANICKED),
]


@pytest.mark.parametrize(("event", "data", "why"), ENDS)
def test_an_end_has_one_reason(event: str, data: dict[str, Any], why: Ended) -> None:
    found = meaning(event, data)
    assert isinstance(found, Ending)
    assert found.why is why
    assert found.detail


SIGNALS: list[tuple[str, dict[str, Any], Signal]] = [
    ("RESUME", {}, Signal.STARTED),
    ("STOP", {}, Signal.PAUSED),
    ("RESET", {"guest": True, "reason": "guest-reset"}, Signal.RESET),
    ("BLOCK_IO_ERROR", {"nospace": True, "action": "stop"}, Signal.NO_SPACE),
    ("BLOCK_IO_ERROR", {"nospace": False, "action": "report"}, Signal.IO_ERROR),
    ("BLOCK_IO_ERROR", {}, Signal.IO_ERROR),
]


@pytest.mark.parametrize(("event", "data", "signal"), SIGNALS)
def test_a_change_is_told_by_one_signal(event: str, data: dict[str, Any], signal: Signal) -> None:
    found = meaning(event, data)
    assert isinstance(found, Meaning)
    assert found.signal is signal


def test_only_the_agents_own_port_counts() -> None:
    assert meaning("VSERPORT_CHANGE", {"id": "agent0", "open": True}) == AgentPort(is_open=True)
    assert meaning("VSERPORT_CHANGE", {"id": "agent0"}) == AgentPort(is_open=False)
    assert meaning("VSERPORT_CHANGE", {"id": "spice", "open": True}) is None


def test_what_does_not_matter_means_nothing() -> None:
    assert meaning("RTC_CHANGE", {"offset": 1}) is None
    assert meaning("GUEST_PANICKED", {"action": "run"}) is None


def test_every_run_state_of_qemu_has_a_power() -> None:
    # qapi/run-state.json of QEMU 7.2, without "colo" and "preconfig", which Lodge never enters.
    states = {
        "debug", "finish-migrate", "inmigrate", "internal-error", "io-error", "paused",
        "postmigrate", "prelaunch", "restore-vm", "running", "save-vm", "shutdown", "suspended",
        "watchdog", "guest-panicked",
    }  # fmt: skip
    assert {state for state in states if power_of(state)[0] is None} == set()
    assert power_of("running") == (Power.RUNNING, "")
    assert power_of("colo")[0] is None
    assert "colo" in power_of("colo")[1]


def test_the_agents_port_is_found_among_the_channels_or_not_at_all() -> None:
    open_one = [{"label": "qmp", "frontend-open": True}, {"label": "agent", "frontend-open": True}]
    assert agent_channel(open_one) == AgentPort(is_open=True)
    assert agent_channel([{"label": "agent"}]) == AgentPort(is_open=False)
    for nonsense in (None, {}, [], [7], [{"label": "console"}]):
        assert agent_channel(nonsense) is None


def test_a_waiting_process_tells_why_its_guest_ended() -> None:
    assert ending_of("running") is None
    ended = ending_of("shutdown")
    assert ended is not None
    assert ended.why is Ended.GUEST
    panicked = ending_of("guest-panicked")
    assert panicked is not None
    assert panicked.why is Ended.PANICKED

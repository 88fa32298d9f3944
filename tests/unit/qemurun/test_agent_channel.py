"""An agent that answers, is late, lies, is absent."""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from fake_peers import Agent, serving

from lodge.base.world import RealWorld
from lodge.drivers.instance.errors import (
    AgentError,
    AgentMissingError,
    GuestCommandTimeoutError,
)
from lodge.drivers.instance.qemu.agent.channel import AgentChannel
from lodge.drivers.instance.qemu.agent.execute import execute, outcome
from lodge.drivers.instance.qemu.agent.interfaces import addresses
from lodge.drivers.instance.qemu.agent.transfer import read_file, write_file


def said(value: Any) -> bytes:
    return json.dumps({"return": value}).encode() + b"\n"


def pair(tmp_path: Path) -> tuple[Agent, AgentChannel]:
    agent = Agent(tmp_path / "agent.sock")
    return agent, AgentChannel(agent.path, os.getpid(), RealWorld())


def test_old_answers_before_the_synchronisation_are_thrown_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        agent.before_sync = b'{"return": "stale"}\n\xff{"return": 0}\nrubbish\n'
        agent.answer = lambda request: said(request["execute"])
        async with serving(agent):
            assert await channel.call("guest-ping") == "guest-ping"
            await channel.close()

    asyncio.run(scenario())


def test_requests_wait_for_each_other_and_get_their_own_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        agent.answer = lambda request: said(request["arguments"]["n"])
        async with serving(agent):
            calls = [channel.call("guest-get", {"n": n}) for n in range(20)]
            assert await asyncio.gather(*calls) == list(range(20))
            assert agent.connections == 1
            await channel.close()

    asyncio.run(scenario())


def test_a_late_answer_is_never_taken_for_the_next_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        async with serving(agent):
            agent.answer = lambda _request: None
            with pytest.raises(AgentMissingError, match=r"within 0\.05 s"):
                await channel.call("guest-slow", timeout_s=0.05)
            agent.answer = lambda request: said(request["execute"])
            agent.before_sync = said("guest-slow")
            assert await channel.call("guest-ping") == "guest-ping"
            assert agent.connections == 2
            await channel.close()

    asyncio.run(scenario())


def test_a_cancelled_request_leaves_the_next_one_right(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        async with serving(agent):
            agent.answer = lambda _request: None
            slow = asyncio.create_task(channel.call("guest-slow"))
            while not agent.connections:
                await asyncio.sleep(0)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            agent.answer = lambda request: said(request["execute"])
            assert await channel.call("guest-ping") == "guest-ping"
            await channel.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("nonsense", [b"hello\n", b"[]\n", b"\xfe\n", b"[" * 100_000 + b"\n"])
def test_nonsense_means_that_there_is_no_agent(tmp_path: Path, nonsense: bytes) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        agent.answer = lambda _request: nonsense
        async with serving(agent):
            with pytest.raises(AgentMissingError):
                await channel.call("guest-ping")
            await channel.close()

    asyncio.run(scenario())


def test_nobody_is_asked_when_the_guest_has_not_opened_the_channel(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        async with serving(agent):
            channel.is_open = False
            with pytest.raises(AgentMissingError) as missing:
                await channel.call("guest-ping")
            assert "qemu-guest-agent" in missing.value.hint
            assert agent.connections == 0

    asyncio.run(scenario())


def hang_up(_request: dict[str, Any]) -> bytes:
    raise ConnectionResetError


def test_an_order_is_not_waited_for_when_it_succeeds_and_told_when_it_fails(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        async with serving(agent):
            agent.answer = lambda _request: b'{"error": {"class": "GenericError", "desc": "no"}}\n'
            with pytest.raises(AgentError, match="no"):
                await channel.tell("guest-shutdown", {"mode": "powerdown"})
            agent.answer = hang_up
            await channel.tell("guest-shutdown", {"mode": "powerdown"})

    asyncio.run(scenario())


def test_a_forbidden_command_is_told_with_a_hint(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        refusal = {"error": {"class": "CommandNotFound", "desc": "disabled"}}
        agent.answer = lambda _request: json.dumps(refusal).encode() + b"\n"
        async with serving(agent):
            with pytest.raises(AgentError, match="disabled") as refused:
                await channel.call("guest-exec")
            assert "forbids" in refused.value.hint
            await channel.close()

    asyncio.run(scenario())


def test_an_overdue_command_is_killed_in_the_guest(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        started: list[list[str]] = []

        def answer(request: dict[str, Any]) -> bytes:
            arguments = request["arguments"]
            if request["execute"] == "guest-exec":
                started.append([arguments["path"], *arguments["arg"]])
                return said({"pid": 71})
            return said({"exited": False})

        agent.answer = answer
        async with serving(agent):
            with pytest.raises(GuestCommandTimeoutError):
                await execute(channel, RealWorld(), ["sleep", "9"], timeout_s=0.02)
            await channel.close()
        assert started == [["sleep", "9"], ["kill", "-KILL", "71"]]

    asyncio.run(scenario())


def test_the_search_path_is_kept_when_an_environment_is_given(tmp_path: Path) -> None:
    async def scenario() -> None:
        agent, channel = pair(tmp_path)
        environments: list[Any] = []

        def answer(request: dict[str, Any]) -> bytes:
            if request["execute"] == "guest-exec":
                environments.append(request["arguments"].get("env"))
            return said({"pid": 1, "exited": True, "exitcode": 0})

        agent.answer = answer
        async with serving(agent):
            for environment in ({}, {"A": "b"}, {"PATH": "/x"}):
                await execute(channel, RealWorld(), ["true"], environment=environment, timeout_s=5)
            await channel.close()
        assert environments[0] is None
        assert environments[1][0].startswith("PATH=")
        assert environments[1][1:] == ["A=b"]
        assert environments[2] == ["PATH=/x"]

    asyncio.run(scenario())


def test_input_too_large_for_the_agent_is_refused_with_both_sizes(tmp_path: Path) -> None:
    _agent, channel = pair(tmp_path)
    with pytest.raises(AgentError, match=r"17 MiB .* 16 MiB"):
        asyncio.run(execute(channel, RealWorld(), ["cat"], stdin=bytes(17 << 20), timeout_s=1))


def test_an_outcome_tells_status_or_signal_and_cut_output() -> None:
    out = base64.b64encode(b"out").decode()
    ended = outcome({"exited": True, "exitcode": 3, "out-data": out, "out-truncated": True})
    assert (ended.exit_status, ended.signal, ended.stdout) == (3, None, b"out")
    assert ended.is_truncated
    assert outcome({"exited": True, "signal": 9}).signal == 9
    with pytest.raises(AgentError, match="damaged"):
        outcome({"exited": True, "exitcode": 0, "out-data": "!"})


@pytest.mark.parametrize("path", ["relative", "/folder/", "", "/nul\0byte"])
def test_only_absolute_paths_of_files_are_copied(tmp_path: Path, path: str) -> None:
    _agent, channel = pair(tmp_path)

    async def reading() -> None:
        _parts = [part async for part in read_file(channel, path)]

    async def nothing() -> Any:
        yield b""

    with pytest.raises(AgentError, match="absolute"):
        asyncio.run(reading())
    with pytest.raises(AgentError, match="absolute"):
        asyncio.run(write_file(channel, RealWorld(), path, nothing(), mode=None))


def test_addresses_leave_out_loopback_link_local_and_nonsense() -> None:
    answer = [
        {"name": "lo", "ip-addresses": [{"ip-address": "127.0.0.1"}, {"ip-address": "::1"}]},
        {
            "name": "eth0",
            "ip-addresses": [
                {"ip-address": "fd00::5"},
                {"ip-address": "fe80::1"},
                {"ip-address": "10.0.0.5"},
                {"ip-address": "what"},
                7,
            ],
        },
        {"name": "eth1"},
        "eth2",
    ]
    assert addresses(answer) == ("10.0.0.5", "fd00::5")
    assert addresses(None) == addresses({"a": 1}) == ()

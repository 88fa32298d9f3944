"""Both doors over real sockets: the same answers, the same failures, the same patience."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import WSMsgType, web
from canned_api import Asked, CannedApi, Failure, Served, page
from canned_records import EVENTS, answer, downloading, instance, task

from lodge.base.errors import LimitError
from lodge.client.address import Address
from lodge.client.blocking import Client, PlainClient
from lodge.client.connection import unreachable
from lodge.client.errors import (
    AnswerBrokenError,
    DaemonUnreachableError,
    RemoteChangedMeanwhileError,
    RemoteStateError,
    RemoteUnavailableError,
    SocketDeniedError,
    WaitedTaskCancelledError,
    WaitTimeoutError,
)
from lodge.client.exec_frames import opening_messages
from lodge.client.nonblocking import AsyncClient
from lodge.model.requests import ExecRequest, InstanceChange, InstanceView
from lodge.model.task import Task, TaskState

BUSY = Failure("too_busy", "unavailable", status=503, retryable=True)

Ask = Callable[..., Any]


@pytest.fixture(params=["blocking", "asynchronous"])
def ask(request: pytest.FixtureRequest, address: Address) -> Ask:
    """Call a method of a group with arguments, through one door or the other."""

    def blocking(group: str, method: str, *args: Any, **kwargs: Any) -> Any:
        result = getattr(getattr(Client(address), group), method)(*args, **kwargs)
        return list(result) if isinstance(result, Iterator) else result

    def asynchronous(group: str, method: str, *args: Any, **kwargs: Any) -> Any:
        async def scenario() -> Any:
            async with AsyncClient(address) as client:
                result = getattr(getattr(client, group), method)(*args, **kwargs)
                if isinstance(result, AsyncIterator):
                    return [piece async for piece in result]
                return await result

        return asyncio.run(scenario())

    return blocking if request.param == "blocking" else asynchronous


def test_a_record_arrives_typed(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/instances/web1", instance())
    assert ask("instances", "get", "web1") == instance()


def test_a_newer_daemons_fields_are_ignored(api: CannedApi, ask: Ask) -> None:
    body = {**msgspec.to_builtins(instance()), "colour": "blue"}
    api.on("GET", "/v1/instances/web1", body)
    assert ask("instances", "get", "web1") == instance()


def test_an_answer_of_another_shape_is_told_with_the_field(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/instances/web1", {"name": 5})
    with pytest.raises(AnswerBrokenError, match="InstanceView"):
        ask("instances", "get", "web1")


def test_a_list_is_fetched_page_by_page_and_joined(api: CannedApi, ask: Ask) -> None:
    first = page(instance("a"), following="c1", total=2)
    api.on("GET", "/v1/instances", first, page(instance("b"), total=2))
    found = ask("instances", "list", sort="name")
    assert [each.name for each in found.items] == ["a", "b"]
    assert (found.total, found.next) == (2, None)
    queries = [asked.query for asked in api.calls("GET", "/v1/instances")]
    assert queries == [{"sort": "name"}, {"sort": "name", "cursor": "c1"}]


def test_a_limit_asks_for_one_page_only(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/instances", page(instance("a"), following="c1", total=9))
    assert ask("instances", "list", limit=1).next == "c1"
    assert len(api.asked) == 1


def test_a_change_is_guarded_by_the_revision_it_is_based_on(api: CannedApi, ask: Ask) -> None:
    stale = Failure("instance_changed", "precondition", status=412)
    api.on("PATCH", "/v1/instances/web1", stale)
    with pytest.raises(RemoteChangedMeanwhileError):
        ask("instances", "change", "web1", InstanceChange(description="x"), revision=42)
    assert api.asked[0].headers["If-Match"] == '"42"'
    assert api.asked[0].json == {"description": "x"}


def test_a_read_is_repeated_while_the_daemon_is_busy(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/instances/web1", BUSY, BUSY, instance())
    assert ask("instances", "get", "web1").name == "web1"


def test_patience_with_a_busy_daemon_ends(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/instances/web1", BUSY)
    with pytest.raises(RemoteUnavailableError):
        ask("instances", "get", "web1")
    assert len(api.asked) == 3


def test_a_change_without_a_key_is_sent_once_whatever_happens(api: CannedApi, ask: Ask) -> None:
    api.on("DELETE", "/v1/instances/web1", BUSY)
    with pytest.raises(RemoteUnavailableError):
        ask("instances", "delete", "web1")
    assert len(api.asked) == 1


def test_a_change_with_a_key_is_repeated_with_the_same_key(api: CannedApi, ask: Ask) -> None:
    api.on("POST", "/v1/instances/web1/start", BUSY, answer())
    assert ask("instances", "start", "web1", wait_s=2.0).task.state is TaskState.DONE
    keys = [asked.headers["Idempotency-Key"] for asked in api.asked]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert api.asked[0].query == {"wait": "2.0"}


async def hang_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def test_a_read_survives_a_connection_that_breaks(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/instances/web1", hang_up, instance())
    assert ask("instances", "get", "web1").name == "web1"


def test_a_change_whose_connection_breaks_is_told(api: CannedApi, ask: Ask) -> None:
    api.on("DELETE", "/v1/instances/web1", hang_up)
    with pytest.raises(DaemonUnreachableError):
        ask("instances", "delete", "web1")


def test_no_daemon_is_told_with_the_socket_it_should_listen_at(
    server: Served, ask: Ask, address: Address
) -> None:
    server.stop()
    with pytest.raises(DaemonUnreachableError, match=str(address.socket_path)) as refused:
        ask("instances", "get", "web1")
    assert "lodged" in refused.value.hint


def test_a_socket_of_others_is_told_as_denied() -> None:
    assert isinstance(
        unreachable(Address(socket_path="/x"), PermissionError(13, "no")), SocketDeniedError
    )


def test_a_file_is_sent_and_fetched_byte_for_byte(api: CannedApi, ask: Ask, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    source = tmp_path / "file"
    source.write_bytes(content)
    written = {"path": "/f", "written_bytes": len(content)}
    api.on("PUT", "/v1/instances/web1/files", written)
    api.on("GET", "/v1/instances/web1/files", content)
    for data in (source, content, iter([content[:9], b"", content[9:]])):
        assert ask("instances", "write_file", "web1", "/f", data, mode=0o640).path == "/f"
    puts = api.calls("PUT", "/v1/instances/web1/files")
    assert [asked.body == content for asked in puts] == [True] * 3
    assert puts[0].query == {"path": "/f", "mode": "0640"}
    assert b"".join(ask("instances", "read_file", "web1", "/f")) == content


async def half_a_file(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.abort()
    return response


def test_half_a_download_is_never_taken_for_the_whole(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/images/x/file", half_a_file)
    with pytest.raises(DaemonUnreachableError):
        ask("images", "download", "x")


def test_a_refused_download_raises_the_daemons_error(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/images/x/file", Failure("pool_full", "limit", status=409))
    with pytest.raises(LimitError):
        ask("images", "download", "x")


def test_waiting_tells_progress_and_returns_the_finished_task(api: CannedApi, ask: Ask) -> None:
    running = downloading(1, 2)
    api.on("GET", "/v1/tasks/1", running, running, task())
    seen: list[Task] = []
    assert ask("tasks", "wait", "1", progress=seen.append).state is TaskState.DONE
    assert [each.state.value for each in seen] == ["running", "running", "done"]


def test_waiting_asks_the_daemon_to_hold_the_answer(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/tasks/1", task())
    ask("tasks", "wait", "1")
    assert float(api.asked[0].query["wait"]) > 10


def test_a_failed_task_raises_its_own_error(api: CannedApi, ask: Ask) -> None:
    error = {"code": "wrong_instance_state", "category": "state", "message": "it is paused"}
    api.on("GET", "/v1/tasks/1", task(TaskState.FAILED, error=error))
    with pytest.raises(RemoteStateError, match="it is paused"):
        ask("tasks", "wait", "1")


def test_a_cancelled_task_is_told_as_such(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/tasks/1", task(TaskState.CANCELLED))
    with pytest.raises(WaitedTaskCancelledError):
        ask("tasks", "wait", "1")


def test_waiting_ends_at_its_limit_and_says_how_to_go_on(api: CannedApi, ask: Ask) -> None:
    api.on("GET", "/v1/tasks/1", downloading(1, 2))
    with pytest.raises(WaitTimeoutError) as over:
        ask("tasks", "wait", "1", timeout_s=0.01)
    assert "lodge task follow 1" in over.value.hint


def test_waiting_outlasts_a_restart_of_the_daemon(api: CannedApi, ask: Ask) -> None:
    broken = [hang_up] * 4
    api.on("GET", "/v1/tasks/1", downloading(1, 2), *broken, task())
    assert ask("tasks", "wait", "1", progress=lambda _task: None).state is TaskState.DONE


def stream(*events: Any) -> Callable[[web.Request], Any]:
    async def answer_events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"retry: 2000\n\n")
        for event in events:
            if event == "gap":
                await response.write(b"event: compacted\ndata: {}\n\n")
                continue
            await response.write(b"id: %d\ndata: %b\n\n" % (event.id, msgspec.json.encode(event)))
        assert request.transport is not None
        request.transport.abort()
        return response

    return answer_events


def last_ids(asked: list[Asked]) -> list[str | None]:
    return [each.headers.get("Last-Event-ID") for each in asked]


def test_a_blocking_stream_goes_on_behind_the_last_event(api: CannedApi, address: Address) -> None:
    api.on("GET", "/v1/events", stream(EVENTS[0]), hang_up, stream("gap", EVENTS[1]))
    gaps: list[str] = []
    follow = Client(address).events.follow(6, on_gap=lambda: gaps.append("gap"))
    assert (next(follow), next(follow)) == EVENTS
    assert last_ids(api.asked) == ["6", "7", "7"]
    assert gaps == ["gap"]


def test_an_asynchronous_stream_goes_on_behind_the_last_event(
    api: CannedApi, address: Address
) -> None:
    api.on("GET", "/v1/events", stream(EVENTS[0]), stream(EVENTS[1]))

    async def scenario() -> list[Any]:
        async with AsyncClient(address) as client:
            follow = client.events.follow(6)
            return [await anext(follow), await anext(follow)]

    assert tuple(asyncio.run(scenario())) == EVENTS
    assert last_ids(api.asked) == ["6", "7"]


async def echo_exec(request: web.Request) -> web.StreamResponse:
    """Answer a command with its own input, as the API frames it."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    stdin = b""
    async for message in socket:
        assert message.type is WSMsgType.BINARY
        if message.data[:1] == b"\0":
            if len(message.data) == 1:
                break
            stdin += message.data[1:]
    await socket.send_bytes(b"\1" + stdin)
    await socket.send_bytes(b"\2warned")
    await socket.send_bytes(b'\3{"exit_status": 7, "signal": null, "is_truncated": false}')
    await socket.close()
    return socket


def test_a_channel_carries_messages_both_ways_without_a_loop_of_the_callers(
    api: CannedApi, address: Address
) -> None:
    api.on("GET", "/v1/instances/web1/exec", echo_exec)
    request = ExecRequest(command=("cat",))
    with Client(address).instances.open_exec("web1") as channel:
        for message in opening_messages(request, [b"some ", b"input"]):
            channel.send(message)
        received = list(channel)
    assert received[:2] == [b"\1some input", b"\2warned"]
    assert received[2].startswith(b"\3")


def test_a_refused_channel_raises_the_daemons_error(api: CannedApi, address: Address) -> None:
    refused = Failure("wrong_instance_state", "state", "it is stopped", status=409)
    api.on("GET", "/v1/instances/web1/console", refused)
    with (
        pytest.raises(RemoteStateError, match="it is stopped"),
        Client(address).instances.open_console("web1"),
    ):
        pass


def test_the_plain_face_gives_the_json_as_it_is(api: CannedApi, address: Address) -> None:
    api.on("GET", "/v1/instances/web1", {"name": "web1", "colour": "blue"})
    assert PlainClient(address).instances.get("web1") == {"name": "web1", "colour": "blue"}


def test_the_types_of_the_three_faces(api: CannedApi, address: Address) -> None:
    """What mypy proves when it reads this file: the same method, typed for each face."""
    api.on("GET", "/v1/instances/web1", instance())
    typed: InstanceView = Client(address).instances.get("web1")

    async def scenario() -> InstanceView:
        async with AsyncClient(address) as client:
            found: InstanceView = await client.instances.get("web1")
            return found

    assert typed == asyncio.run(scenario())

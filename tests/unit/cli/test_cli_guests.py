"""Commands that reach into guests: exec, files, console, screen, logs."""

import asyncio
import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from canned_api import Failure
from command_desk import Desk


def guest(status: int | None, signal: int | None = None, error: str = "") -> object:
    """A guest agent that gives back the input and words on both outputs."""

    async def run(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        stdin = b""
        async for message in socket:
            if message.data[:1] == b"\3":
                asked.append(message.data[1:])
            elif len(message.data) > 1:
                stdin += message.data[1:]
            else:
                break
        if error:
            await socket.send_bytes(b"\3" + error.encode())
        else:
            await socket.send_bytes(b"\1out:" + stdin)
            await socket.send_bytes(b"\2err\n")
            words = f'{{"exit_status": {_json(status)}, "signal": {_json(signal)}}}'
            await socket.send_bytes(b"\3" + words.encode())
        await socket.close()
        return socket

    asked: list[bytes] = []
    return run


def _json(value: int | None) -> str:
    return "null" if value is None else str(value)


@pytest.mark.parametrize(
    ("status", "signal", "expected"), [(0, None, 0), (7, None, 7), (None, 9, 137)]
)
def test_exec_passes_streams_and_status_through(
    desk: Desk, status: int | None, signal: int | None, expected: int
) -> None:
    desk.api.on("GET", "/v1/instances/web1/exec", guest(status, signal))
    ran = desk.run("exec", "web1", "--", "cat", stdin=b"\x00binary\xff")
    assert ran.status == expected
    assert ran.raw == b"out:\x00binary\xff"
    assert ran.err == "err\n"


def test_exec_tells_the_daemons_error_when_the_command_cannot_run(desk: Desk) -> None:
    error = '{"error": {"code": "x", "category": "unsupported", "message": "no agent"}}'
    desk.api.on("GET", "/v1/instances/web1/exec", guest(0, error=error))
    ran = desk.run("exec", "web1", "ls", "-l")
    assert (ran.status, ran.err) == (8, "error: no agent\n")


def test_exec_in_a_stopped_instance_says_so(desk: Desk) -> None:
    stopped = Failure("wrong_instance_state", "state", "it is stopped", status=409)
    desk.api.on("GET", "/v1/instances/web1/exec", stopped)
    ran = desk.run("exec", "web1", "--", "ls")
    assert (ran.status, ran.err) == (4, "error: it is stopped\n")


async def early_end(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close()
    return socket


def test_exec_never_takes_a_lost_connection_for_success(desk: Desk) -> None:
    desk.api.on("GET", "/v1/instances/web1/exec", early_end)
    ran = desk.run("exec", "web1", "--", "true")
    assert ran.status == 1
    assert ran.err.startswith("error: the connection")


def test_options_after_the_commands_name_belong_to_the_command(desk: Desk) -> None:
    desk.api.on("GET", "/v1/instances/web1/exec", guest(0))
    assert desk.run("exec", "web1", "ls", "--help", "--format", "json").status == 0


def test_a_file_goes_in_and_out_byte_for_byte(desk: Desk, tmp_path: Path) -> None:
    content = os.urandom(100_000)
    (tmp_path / "in").write_bytes(content)
    (tmp_path / "in").chmod(0o750)
    desk.api.on("PUT", "/v1/instances/web1/files", {"path": "/a/in", "written_bytes": 100_000})
    desk.api.on("GET", "/v1/instances/web1/files", content)
    assert desk.run("push", str(tmp_path / "in"), "web1:/a/").status == 0
    (put,) = desk.api.calls("PUT", "/v1/instances/web1/files")
    assert put.query == {"path": "/a/in", "mode": "0750"}
    assert put.body == content
    assert desk.run("pull", "web1:/a/in", str(tmp_path / "out")).status == 0
    assert (tmp_path / "out").read_bytes() == content
    assert desk.run("pull", "web1:/a/in", "-").raw == content


def test_standard_input_can_be_pushed(desk: Desk) -> None:
    desk.api.on("PUT", "/v1/instances/web1/files", {"path": "/m", "written_bytes": 2})
    assert desk.run("push", "-", "web1:/m", stdin=b"hi").status == 0
    (put,) = desk.api.calls("PUT", "/v1/instances/web1/files")
    assert (put.body, put.query["mode"]) == (b"hi", "0644")


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half")
    await asyncio.sleep(0)
    assert request.transport is not None
    request.transport.abort()
    return response


def test_a_pull_that_breaks_leaves_the_old_file_and_nothing_beside_it(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("old")
    desk.api.on("GET", "/v1/instances/web1/files", cut_off)
    before = sorted(tmp_path.iterdir())
    assert desk.run("pull", "web1:/x", str(tmp_path / "out")).status == 6
    assert (tmp_path / "out").read_text() == "old"
    assert sorted(tmp_path.iterdir()) == before


def test_a_screenshot_is_saved_as_it_came(desk: Desk, tmp_path: Path) -> None:
    desk.api.on("GET", "/v1/instances/web1/screenshot", b"\x89PNG picture")
    target = tmp_path / "s.png"
    assert desk.run("screenshot", "web1", "-o", str(target)).out == f"{target}\n"
    assert target.read_bytes() == b"\x89PNG picture"
    assert desk.run("screenshot", "web1", "-o", "-").raw == b"\x89PNG picture"


def test_logs_print_the_last_lines_whole(desk: Desk) -> None:
    desk.api.on("GET", "/v1/instances/web1/logs/serial", b"one\ntwo\nthree\n")
    assert desk.run("logs", "web1").out == "one\ntwo\nthree\n"
    assert desk.run("logs", "web1", "--tail", "2").out == "two\nthree\n"
    assert desk.run("logs", "web1", "--tail", "0").out == ""
    desk.api.on("GET", "/v1/instances/web1/logs/qemu", b"said\n")
    assert desk.run("logs", "web1", "--qemu").out == "said\n"


async def serial_console(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_bytes(b"login: ")
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            await socket.send_bytes(b"<" + message.data + b">")
    return socket


def read_until(descriptor: int, wanted: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + 20
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        seen += os.read(descriptor, 4096)
    return seen


def test_the_console_is_raw_and_left_with_its_key(desk: Desk) -> None:
    desk.api.on("GET", "/v1/instances/web1/console", serial_console)
    mine, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    program = subprocess.Popen(
        [sys.executable, "-c", "from lodge.cli.main import entry; entry()", "console", "web1"],
        env={**desk.environment, "PYTHONPATH": ":".join(sys.path), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    try:
        said = read_until(mine, b"login: ")
        assert b"leave with Ctrl-]" in said
        assert not termios.tcgetattr(theirs)[3] & termios.ICANON
        os.write(mine, b"\x03")
        read_until(mine, b"<\x03>")
        os.write(mine, b"x\x1dy")
        assert b"the instance goes on" in read_until(mine, b"goes on")
        assert program.wait(20) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()
        os.close(mine)
        os.close(theirs)

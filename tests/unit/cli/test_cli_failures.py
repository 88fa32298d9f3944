"""Failures: two lines for people, one of JSON for programs, and a status for scripts."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import canned_records as records
import msgspec
import pytest
from canned_api import Failure, page
from command_desk import Desk

from lodge.base.errors import Category
from lodge.cli.failures import _BY_CATEGORY, EXIT_MEANINGS, Exit
from lodge.cli.style import wants_colour


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Failure("x", "invalid", status=422), 2),
        (Failure("instance_not_found", "not_found", status=404), 3),
        (Failure("x", "conflict"), 4),
        (Failure("x", "state"), 4),
        (Failure("x", "precondition", status=412), 4),
        (Failure("x", "denied", status=403), 5),
        (Failure("x", "unauthenticated", status=401), 5),
        (Failure("x", "limit", status=409), 7),
        (Failure("x", "unsupported", status=422), 8),
        (Failure("x", "unavailable", status=503), 1),
        (Failure("shutdown_timeout", "unavailable", status=503), 9),
        (Failure("x", "internal", status=500), 1),
    ],
)
def test_every_category_has_its_exit_status(desk: Desk, failure: Failure, status: int) -> None:
    desk.api.on("POST", "/v1/instances/web1/start", failure)
    ran = desk.run("start", "web1")
    assert (ran.status, ran.out) == (status, "")
    assert ran.err.startswith("error: it failed")


def test_no_category_is_forgotten() -> None:
    assert set(_BY_CATEGORY) == set(Category)
    assert set(EXIT_MEANINGS) == set(Exit)


def test_a_failure_is_json_when_json_was_asked_for(desk: Desk) -> None:
    wrong = Failure("wrong_state", "state", "it is paused", hint="resume it", details={"a": 1})
    desk.api.on("POST", "/v1/instances/web1/start", wrong)
    ran = desk.run("start", "web1", "--format", "json")
    told = json.loads(ran.err)
    assert told["exit_status"] == 4
    assert told["trace"] == "trace-1"
    assert told["error"] == {
        "code": "wrong_state",
        "category": "state",
        "message": "it is paused",
        "retryable": False,
        "hint": "resume it",
        "details": {"a": 1},
    }


def test_a_daemon_that_is_not_there_is_told_with_how_to_start_it(desk: Desk) -> None:
    desk.server.stop()
    ran = desk.run("list")
    assert ran.status == 6
    assert "the daemon is not running" in ran.err
    assert "systemctl start lodged" in ran.err


def test_an_unknown_name_is_answered_with_the_one_that_was_meant(desk: Desk) -> None:
    missing = Failure(
        "instance_not_found",
        "not_found",
        "there is no instance 'wbe1'",
        status=404,
        where="instances/wbe1",
        hint="list them",
    )
    desk.api.on("POST", "/v1/instances/wbe1/start", missing)
    ran = desk.run("start", "wbe1")
    assert (ran.status, ran.err.splitlines()[1]) == (3, "hint: did you mean web1? (list them)")


def test_what_a_guest_or_daemon_says_cannot_forge_lines_or_colours(desk: Desk) -> None:
    nasty = Failure("x", "state", "bad\x1b[31m\nhint: run this", hint="a\rb")
    desk.api.on("POST", "/v1/instances/web1/start", nasty)
    assert desk.run("start", "web1").err == "error: bad [31m hint: run this\nhint: a b\n"


def test_a_guest_cannot_paint_the_table(desk: Desk) -> None:
    forged = msgspec.to_builtins(records.instance())
    forged["spec"]["description"] = "\x1b[2Jgone\nline"
    desk.api.on("GET", "/v1/instances", page(forged))
    ran = desk.run("list", "--columns", "name,description")
    assert ran.out.splitlines()[1] == "web1   [2Jgone line"


def test_no_colour_where_no_terminal_is_and_none_when_not_wanted(desk: Desk) -> None:
    assert "\x1b" not in desk.run("list").out
    assert "\x1b" in desk.run("list", "--color", "always").out


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_no_color_is_respected(environment: dict[str, str], expected: bool) -> None:
    assert wants_colour(is_terminal=True, environment=environment) is expected
    assert wants_colour(is_terminal=False, environment=environment) is False


def started(desk: Desk, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "from lodge.cli.main import entry; entry()", *words],
        env={**desk.environment, "PYTHONPATH": ":".join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def test_ctrl_c_leaves_the_task_running_and_says_how_to_find_it(desk: Desk) -> None:
    running = records.downloading(1, 1000)
    desk.api.on("POST", "/v1/instances/web1/start", {"task": running, "result": None})
    desk.api.on("GET", "/v1/tasks/1m83j7wfc8163", running)
    program = started(desk, "start", "web1")
    deadline = time.monotonic() + 20
    while not desk.api.calls("GET", "/v1/tasks/1m83j7wfc8163"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _out, err = program.communicate(timeout=20)
    assert program.returncode == 130
    assert b"task 1m83j7wfc8163 goes on" in err
    assert b"lodge task follow 1m83j7wfc8163" in err
    assert not desk.api.calls("POST", "/v1/tasks/1m83j7wfc8163/cancel")


def test_ctrl_c_during_several_names_does_not_hang(desk: Desk) -> None:
    running = records.downloading(1, 1000)
    for name in ("a", "b"):
        desk.api.on("POST", f"/v1/instances/{name}/start", {"task": running, "result": None})
    desk.api.on("GET", "/v1/tasks/1m83j7wfc8163", running)
    program = started(desk, "start", "a", "b")
    deadline = time.monotonic() + 20
    while len(desk.api.calls("GET", "/v1/tasks/1m83j7wfc8163")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _out, err = program.communicate(timeout=20)
    assert program.returncode == 130
    assert b"goes on" in err


def test_a_reader_that_leaves_early_is_no_error(desk: Desk) -> None:
    desk.api.on("GET", "/v1/instances", page(*[records.instance(f"i{n}") for n in range(3000)]))
    program = started(desk, "list", "--format", "json")
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.read(10)
    program.stdout.close()
    assert program.wait(20) == 141
    assert program.stderr.read() == b""
    program.stderr.close()


def test_a_bug_is_told_without_a_traceback(desk: Desk) -> None:
    desk.api.on("GET", "/v1/instances/web1", {"no": "name"})
    ran = desk.run("show", "web1")
    assert ran.status == 1
    assert ran.err.startswith("error: a bug in lodge: KeyError")
    assert "LODGE_DEBUG=1" in ran.err


def test_an_answer_that_is_no_list_is_told_as_such(desk: Desk) -> None:
    answers: tuple[object, ...] = ({"no": "items"}, [], b"not JSON")
    for answer in answers:
        desk.api.on("GET", "/v1/instances", answer)
        ran = desk.run("list")
        assert ran.status == 1
        assert ran.err.startswith("error: the answer is not")


def test_the_version_is_told_even_when_the_daemon_is_away(desk: Desk) -> None:
    assert desk.run("version").out.splitlines()[1] == "lodged  0.1.0"
    desk.server.stop()
    ran = desk.run("version")
    assert (ran.status, ran.out.startswith("lodge ")) == (6, True)
    assert desk.run("version", "--client").status == 0


def test_a_damaged_or_open_file_of_remotes_is_told(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / ".config" / "lodge" / "remotes.json"
    file.parent.mkdir(parents=True)
    file.write_text("{")
    file.chmod(0o600)
    assert desk.run("remote", "list").status == 2
    file.write_text('{"remotes": {}}')
    file.chmod(0o644)
    ran = desk.run("remote", "list")
    assert (ran.status, "chmod 600" in ran.err) == (5, True)

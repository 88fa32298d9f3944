"""What changing commands ask for, and what they say came of it."""

import json
from pathlib import Path
from typing import Any

import canned_records as records
import pytest
from canned_api import Asked, Failure
from command_desk import Desk
from msgspec import structs

from lodge.model.instance import InstanceState
from lodge.model.task import Progress, Step, StepState, TaskState

KEY = "ssh-ed25519 AAAAC3Nz me@here"


def only(desk: Desk, method: str, path: str) -> Asked:
    (asked,) = desk.api.calls(method, path)
    return asked


def test_launch_sends_what_was_said_and_nothing_else(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"# mine\n{KEY}\n\n")
    (tmp_path / "user.yaml").write_text("#cloud-config\n{}\n")
    desk.api.on("POST", "/v1/instances", records.answer())
    size = "--cpus 2 --memory 1.5GiB --disk 20G --network a --network b"
    guest = f"--ssh-key {tmp_path}/key.pub --cloud-init {tmp_path}/user.yaml --protect"
    more = "--profile default --profile big --tag live --firmware uefi --start-at-boot"
    words = f"launch debian-12 web1 {size} {guest} {more}".split()
    ran = desk.run(*words, "--description", "the shop")
    assert (ran.status, ran.out) == (0, "web1 is running at 10.17.0.12\n")
    sent = {
        name: value
        for name, value in only(desk, "POST", "/v1/instances").json.items()
        if value is not None
    }
    assert sent == {
        "name": "web1",
        "image": "debian-12",
        "kind": "vm",
        "description": "the shop",
        "tags": ["live"],
        "profiles": ["default", "big"],
        "cpus": 2,
        "memory_mib": 1536,
        "disk_bytes": 20 << 30,
        "networks": ["a", "b"],
        "boot": {"firmware": "uefi", "command_line": None},
        "cloud_init": {
            "user_data": "#cloud-config\n{}\n",
            "vendor_data": None,
            "network_config": None,
            "ssh_keys": [KEY],
        },
        "starts_at_boot": True,
        "is_protected": True,
        "starts": True,
    }


def test_launch_without_nic_asks_for_no_network_at_all(desk: Desk) -> None:
    desk.api.on("POST", "/v1/instances", records.answer())
    desk.run(*["launch", "tiny", "web1", "--network", "none", "--no-start"])
    sent = only(desk, "POST", "/v1/instances").json
    assert (sent["networks"], sent["starts"]) == ([], False)


def test_a_private_key_is_never_sent(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    ran = desk.run("launch", "a", "b", "--ssh-key", str(tmp_path / "key"))
    assert ran.status == 2
    assert "private key" in ran.err
    assert f"{tmp_path}/key.pub" in ran.err
    assert desk.api.asked == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"hello\n"])
def test_what_is_no_public_key_is_refused(desk: Desk, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    assert desk.run("launch", "a", "b", "--ssh-key", str(tmp_path / "key")).status == 2
    assert desk.api.asked == []


def test_a_dry_run_says_that_nothing_was_changed(desk: Desk) -> None:
    desk.api.on("POST", "/v1/instances", {"is_dry_run": True, "action": "instances.create"})
    ran = desk.run(*["launch", "debian-12", "web1", "--dry-run"])
    assert ran.out == "web1 could be launched; nothing was changed\n"
    assert only(desk, "POST", "/v1/instances").query == {"dry_run": "true"}


def booting(desk: Desk, *views: Any) -> None:
    desk.api.on("POST", "/v1/instances", records.answer())
    desk.api.on("GET", "/v1/instances/web1", *views)
    image = records.instance().spec.image
    desk.api.on("GET", f"/v1/images/{image}", {"fingerprint": image, "has_agent": True})


def silent() -> Any:
    view = records.instance()
    return structs.replace(view, status=structs.replace(view.status, agent_answers=False))


def test_launch_waits_until_the_guest_is_really_there(desk: Desk) -> None:
    booting(desk, silent(), silent(), records.instance())
    ran = desk.run(*["launch", "debian-12", "web1"])
    assert (ran.status, ran.out) == (0, "web1 is running at 10.17.0.12\n")
    assert "waiting for the guest's agent" in ran.err
    assert len(desk.api.calls("GET", "/v1/instances/web1")) == 3


def test_a_guest_that_takes_longer_is_no_error(desk: Desk) -> None:
    booting(desk, silent())
    ran = desk.run(*["launch", "debian-12", "web1", "--wait", "0.01"])
    assert (ran.status, ran.out) == (0, "web1 is running at 10.17.0.12\n")
    assert "did not answer within 0.01 s" in ran.err


def test_an_image_without_agent_is_not_waited_for(desk: Desk) -> None:
    booting(desk, silent())
    image = records.instance().spec.image
    desk.api.on("GET", f"/v1/images/{image}", {"fingerprint": image, "has_agent": False})
    ran = desk.run(*["launch", "tiny", "web1"])
    assert (ran.status, ran.err) == (0, "")


def test_what_looks_odd_in_a_launch_is_told(desk: Desk) -> None:
    desk.api.on("POST", "/v1/instances", records.answer(result={"warnings": ["nobody may log in"]}))
    ran = desk.run(*["launch", "debian-12", "web1", "--wait", "0"])
    assert (ran.status, ran.err) == (0, "warning: nobody may log in\n")


def test_without_waiting_the_task_is_all_that_is_printed(desk: Desk) -> None:
    desk.api.on("POST", "/v1/instances", records.answer(TaskState.QUEUED))
    ran = desk.run(*["launch", "debian-12", "web1", "--no-wait"])
    assert (ran.status, ran.out, ran.err) == (0, "1m83j7wfc8163\n", "")
    assert "wait" not in only(desk, "POST", "/v1/instances").query


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("start", "running"),
        ("stop", "stopped"),
        ("reset", "reset"),
        ("pause", "paused"),
        ("resume", "running"),
        ("suspend", "suspended"),
    ],
)
def test_a_verb_says_the_new_state(desk: Desk, verb: str, said: str) -> None:
    desk.api.on("POST", f"/v1/instances/web1/{verb}", records.answer())
    ran = desk.run(verb, "web1")
    assert (ran.status, ran.out, ran.err) == (0, f"web1: {said}\n", "")


@pytest.mark.parametrize(
    ("verb", "how", "said"),
    [
        ("shutdown", "guest", "web1: the guest shut down in 3.5 s"),
        ("shutdown", "forced", "web1: the guest did not end within 5 s, the plug was pulled"),
        ("restart", "guest", "web1: the guest shut down in 3.5 s, then it was started"),
    ],
)
def test_a_shutdown_says_what_it_did(desk: Desk, verb: str, how: str, said: str) -> None:
    result = {"how": how, "seconds": 3.5}
    desk.api.on("POST", f"/v1/instances/web1/{verb}", records.answer(result=result))
    ran = desk.run(verb, "web1", "--timeout", "5", "--force")
    assert ran.out == f"{said}\n"
    sent = only(desk, "POST", f"/v1/instances/web1/{verb}").json
    assert sent == {"timeout_s": 5.0, "is_forced": True}


def test_several_names_are_told_in_order_and_a_failure_hides_none(desk: Desk) -> None:
    desk.api.on("POST", "/v1/instances/a/stop", records.answer())
    desk.api.on("POST", "/v1/instances/c/stop", records.answer())
    wrong = Failure("wrong_instance_state", "state", "cannot stop 'b'")
    desk.api.on("POST", "/v1/instances/b/stop", wrong)
    ran = desk.run("stop", "a", "b", "c", "a")
    assert ran.out == "a: stopped\nc: stopped\n"
    assert ran.err == "error: cannot stop 'b'\n"
    assert ran.status == 4
    assert len(desk.api.asked) == 3


def test_a_setting_is_sent_as_the_api_names_it(desk: Desk) -> None:
    desk.api.on("PATCH", "/v1/instances/web1", records.answer())
    ran = desk.run("set", "web1", "memory=2GiB", "protected=no", "tags=a, b", "--revision", "42")
    assert ran.out == "web1: changed\n"
    asked = only(desk, "PATCH", "/v1/instances/web1")
    assert asked.json == {"memory_mib": 2048, "is_protected": False, "tags": ["a", "b"]}
    assert asked.headers["If-Match"] == '"42"'


def test_delete_asks_the_daemon_to_stop_first_only_when_forced(desk: Desk) -> None:
    desk.api.on("DELETE", "/v1/instances/web1", records.answer())
    assert desk.run("delete", "web1", "--force", "--yes").out == "web1: deleted\n"
    assert only(desk, "DELETE", "/v1/instances/web1").query["force"] == "true"
    desk.api.asked.clear()
    desk.run("delete", "web1", "-y")
    assert "force" not in only(desk, "DELETE", "/v1/instances/web1").query


@pytest.mark.parametrize("words", ["delete web1", "volume delete fast/v", "image remove x"])
def test_data_is_not_destroyed_unasked_where_nobody_can_be_asked(desk: Desk, words: str) -> None:
    ran = desk.run(*words.split())
    assert (ran.status, ran.out) == (5, "")
    assert "add --yes" in ran.err
    assert desk.api.asked == []


def test_deleting_what_runs_hints_at_force(desk: Desk) -> None:
    wrong = Failure("wrong_instance_state", "state", "it is running", hint="lodge show web1")
    desk.api.on("DELETE", "/v1/instances/web1", wrong)
    ran = desk.run("delete", "web1", "-y")
    assert "lodge delete web1 --force" in ran.err


def test_a_task_is_printed_as_json_when_asked_for(desk: Desk) -> None:
    desk.api.on("POST", "/v1/instances/web1/start", records.answer())
    ran = desk.run("start", "web1", "--format", "json")
    assert json.loads(ran.out)["state"] == "done"


CHANGES: list[tuple[str, str, str, Any, str]] = [
    ("rename web1 web2", "POST", "instances/web1/rename", {"name": "web2"}, "web1 is now web2"),
    (
        "image build tiny --force",
        "POST",
        "images/build",
        {"recipe": "tiny", "alias": None, "is_forced": True},
        "the image is ready",
    ),
    (
        "image add debian-12 --alias d",
        "POST",
        "images",
        {"source": "debian-12", "alias": "d", "sha256": None, "format": None, "description": ""},
        "the image is ready",
    ),
    ("image remove x --yes", "DELETE", "images/x", None, "x: removed"),
    (
        "volume create fast/v --size 1GiB",
        "POST",
        "volumes",
        {"name": "v", "pool": "fast", "size_bytes": 1 << 30, "format": "qcow2", "image": None},
        "fast/v: created",
    ),
    (
        "volume resize v 2GiB",
        "PATCH",
        "pools/default/volumes/v",
        {"size_bytes": 2 << 30},
        "default/v: 2 GiB",
    ),
    ("volume delete fast/v --yes", "DELETE", "pools/fast/volumes/v", None, "fast/v: deleted"),
    (
        "pool create p --path /x --guard 1GiB",
        "POST",
        "pools",
        {
            "name": "p",
            "driver": "dir",
            "path": "/x",
            "description": "",
            "warn_percent": 85,
            "guard_bytes": 1 << 30,
        },
        "p: created",
    ),
    ("pool delete p", "DELETE", "pools/p", None, "p: deleted"),
    (
        "network create n --kind isolated",
        "POST",
        "networks",
        {
            "name": "n",
            "kind": "isolated",
            "ipv4": None,
            "ipv6": None,
            "domain": None,
            "mtu": 1500,
            "description": "",
        },
        "n: created",
    ),
    ("network delete n", "DELETE", "networks/n", None, "n: deleted"),
]


@pytest.mark.parametrize(("words", "method", "path", "body", "said"), CHANGES)
def test_a_change_is_sent_whole_and_its_end_is_told(
    desk: Desk, words: str, method: str, path: str, body: Any, said: str
) -> None:
    desk.api.on(method, f"/v1/{path}", records.answer())
    ran = desk.run(*words.split())
    assert (ran.status, ran.out) == (0, f"{said}\n")
    asked = only(desk, method, f"/v1/{path}")
    assert (asked.json if asked.body else None) == body


def test_a_new_image_is_told_by_its_names(desk: Desk) -> None:
    result = {"fingerprint": "3fa9c2d17e01" + "0" * 52, "aliases": ["debian-12"]}
    desk.api.on("POST", "/v1/images/build", records.answer(result=result))
    ran = desk.run("image", "build", "debian-12")
    assert ran.out == "image debian-12 3fa9c2d17e01 is ready\n"


def test_an_image_is_sent_from_a_file_and_from_a_pipe(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"QFI\xfb" + b"x" * 2_000_000)
    desk.api.on("POST", "/v1/images/upload", records.answer())
    assert desk.run("image", "import", str(tmp_path / "disk"), "--alias", "mine").status == 0
    assert desk.run("image", "import", "-", stdin=b"some bytes").status == 0
    first, second = desk.api.calls("POST", "/v1/images/upload")
    assert first.query == {"alias": "mine"}
    assert len(first.body) == 2_000_004
    assert second.body == b"some bytes"


def test_a_profile_keeps_the_fields_that_were_not_named(desk: Desk) -> None:
    desk.api.on("PUT", "/v1/profiles/big", records.PROFILE)
    assert desk.run("profile", "set", "big", "cpus=4", "disk=").status == 0
    sent = only(desk, "PUT", "/v1/profiles/big").json
    assert (sent["cpus"], sent["memory_mib"], sent["disk_bytes"]) == (4, 32768, None)


def test_a_profile_is_read_from_yaml(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("cpus: 3\nnetworks: [a]\n")
    desk.api.on("PUT", "/v1/profiles/web", records.PROFILE)
    assert desk.run("profile", "set", "web", "--file", str(tmp_path / "p.yaml")).status == 0
    sent = only(desk, "PUT", "/v1/profiles/web").json
    assert (sent["cpus"], sent["networks"]) == (3, ["a"])
    (tmp_path / "p.yaml").write_text("cpus: [3\n")
    assert desk.run("profile", "set", "web", "--file", str(tmp_path / "p.yaml")).status == 2


def test_a_tokens_secret_is_alone_on_standard_output(desk: Desk) -> None:
    token = {"id": "t1", "name": "ci", "scope": "write", "created_at": 0.0}
    desk.api.on("POST", "/v1/tokens", {"token": token, "secret": "lodge_t1_abc"})
    ran = desk.run("token", "create", "ci", "--scope", "write", "--expires", "never")
    assert ran.out == "lodge_t1_abc\n"
    assert "once" in ran.err
    sent = only(desk, "POST", "/v1/tokens").json
    assert sent == {"name": "ci", "scope": "write", "expires_in_s": None}


def test_settings_are_sent_with_their_own_types(desk: Desk) -> None:
    desk.api.on("PATCH", "/v1/config", [])
    ran = desk.run("config", "set", "listen_port=9443", "is_polite=no", "log_level=")
    assert only(desk, "PATCH", "/v1/config").json == {
        "settings": {"listen_port": 9443, "is_polite": False, "log_level": None}
    }
    assert ran.out.splitlines() == [
        "listen_port = 9443  (from the next start of lodged on)",
        "is_polite = false",
        "log_level = info",
    ]
    assert desk.run("config", "set", "listen_port=many").status == 2
    assert desk.run("config", "get", "log_level").out == "debug\n"
    unknown = desk.run("config", "get", "loglevel")
    assert (unknown.status, "did you mean log_level?" in unknown.err) == (3, True)


def test_a_cancelled_task_is_said_to_be_on_its_way(desk: Desk) -> None:
    desk.api.on("POST", "/v1/tasks/t1/cancel", records.downloading(1, 2))
    ran = desk.run("task", "cancel", "t1")
    assert ran.out == "t1: asked to end; it undoes its steps\n"


def test_progress_goes_to_standard_error_line_by_line_where_no_terminal_is(desk: Desk) -> None:
    running = records.downloading
    desk.api.on("POST", "/v1/images", {"task": running(0, 1000), "result": None})
    desk.api.on(
        "GET",
        "/v1/tasks/1m83j7wfc8163",
        running(0, 1 << 30),
        running(100 << 20, 1 << 30),
        running(300 << 20, 1 << 30),
        running(310 << 20, 1 << 30),
        records.task(),
    )
    ran = desk.run("image", "add", "debian-12")
    assert ran.out == "the image is ready\n"
    assert ran.err.splitlines() == [
        "Adding debian-12: download (1/2)    0%  0 B of 1 GiB  mirror 1",
        "Adding debian-12: download (1/2)   29%  300 MiB of 1 GiB  ETA 24s  mirror 1",
    ]


def test_a_task_that_failed_while_waited_for_ends_with_its_own_status(desk: Desk) -> None:
    error = {"code": "pool_full", "category": "limit", "message": "no room", "hint": "delete"}
    desk.api.on("POST", "/v1/images", {"task": records.downloading(0, 9), "result": None})
    failed = records.task(TaskState.FAILED, error=error)
    desk.api.on("GET", "/v1/tasks/1m83j7wfc8163", failed)
    ran = desk.run("image", "add", "debian-12")
    assert (ran.status, ran.err) == (7, "error: no room\nhint: delete\n")


def test_undoing_is_told_as_such(desk: Desk) -> None:
    step = Step(name="x", state=StepState.RUNNING, progress=Progress(done=1, unit="files"))
    undoing = records.task(TaskState.UNDOING, steps=(step,))
    desk.api.on("GET", "/v1/tasks/1m83j7wfc8163", undoing, undoing, records.task())
    ran = desk.run("task", "follow", "1m83j7wfc8163")
    assert "undoing what was done" in ran.err
    assert ran.out == "1m83j7wfc8163: done\n"


def test_a_stopped_instance_after_launch_says_how_to_start_it(desk: Desk) -> None:
    desk.api.on("POST", "/v1/instances", records.answer())
    stopped = records.instance(state=InstanceState.STOPPED, status=records.stopped("x").status)
    desk.api.on("GET", "/v1/instances/web1", stopped)
    ran = desk.run("launch", "tiny", "web1", "--no-start")
    assert ran.out == "web1 is stopped\n"
    assert "lodge start web1" in ran.err

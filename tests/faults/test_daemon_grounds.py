"""What a daemon stands on is wrong, taken, full or damaged: it says so and harms nothing."""

import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_mounts import mounted_tmpfs
from real_daemon import RealDaemon

pytestmark = pytest.mark.root

VMS = "/v1/instances"
TINY = {"image": "tiny", "memory_mib": 64}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RealDaemon]:
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o711)
    made = RealDaemon(tmp_path)
    try:
        yield made
    finally:
        made.close()


def refused(daemon: RealDaemon, code: str) -> str:
    """Start a daemon that must not come up; returns what it said."""
    before = len(daemon.log)
    process = daemon.spawn()
    assert process.wait(60) == 1, daemon.log
    said = daemon.log[before:]
    assert f"[{code}]" in said
    assert "hint:" in said
    assert "Traceback" not in said
    return said


def other(daemon: RealDaemon, **settings: str) -> RealDaemon:
    """Another daemon that logs elsewhere."""
    folder = daemon.folder / "other"
    folder.mkdir(exist_ok=True)
    return RealDaemon(folder, {name.replace("_", "-"): value for name, value in settings.items()})


def furnish(daemon: RealDaemon) -> RealDaemon:
    daemon.start()
    daemon.good("POST", "/v1/images/build", {"recipe": "tiny"})
    daemon.good("POST", VMS, {"name": "web", **TINY})
    return daemon


def test_a_second_daemon_on_the_same_state_folder_does_not_come_up(daemon: RealDaemon) -> None:
    furnish(daemon)
    second = other(daemon, state_dir=str(daemon.folder / "state"))
    said = refused(second, "state_folder_in_use")
    assert str(daemon.folder / "state") in said
    assert daemon.states() == {"web": "running"}


def test_a_second_daemon_on_the_same_socket_does_not_come_up(daemon: RealDaemon) -> None:
    furnish(daemon)
    second = other(daemon, run_dir=str(daemon.folder / "run"))
    refused(second, "endpoint_in_use")
    assert daemon.states() == {"web": "running"}
    assert (daemon.folder / "run" / "lodged.pid").exists()


def test_a_socket_left_by_a_killed_daemon_is_taken_over(daemon: RealDaemon) -> None:
    furnish(daemon)
    daemon.end(signal.SIGKILL)
    assert daemon.socket.exists()
    daemon.start()
    assert daemon.states() == {"web": "running"}


def test_a_port_that_is_taken_is_named(daemon: RealDaemon) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon.settings = {"listen-address": "127.0.0.1", "listen-port": str(port)}
        said = refused(daemon, "endpoint_in_use")
    assert str(port) in said
    daemon.start()


def test_a_damaged_database_is_told_and_kept(daemon: RealDaemon) -> None:
    furnish(daemon)
    daemon.end()
    path = daemon.folder / "state" / "lodge.db"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xff" * 8000 + whole[8100:])
    damaged = path.read_bytes()
    refused(daemon, "database_damaged")
    assert path.read_bytes() == damaged
    path.write_bytes(whole)
    daemon.start()
    assert daemon.states() == {"web": "running"}


def test_a_database_of_a_newer_version_is_not_touched(daemon: RealDaemon) -> None:
    furnish(daemon)
    daemon.end()
    path = daemon.folder / "state" / "lodge.db"
    with sqlite3.connect(path) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        database.execute(f"PRAGMA user_version = {version + 100}")
    database.close()
    newer = path.read_bytes()
    said = refused(daemon, "database_newer")
    assert str(version + 100) in said
    assert path.read_bytes() == newer


def test_a_state_folder_that_cannot_be_written_is_named(daemon: RealDaemon) -> None:
    (daemon.folder / "state").write_text("a file where a folder should be")
    said = refused(daemon, "folder_unusable")
    assert str(daemon.folder / "state") in said


def test_a_bad_setting_ends_the_daemon_before_it_began(daemon: RealDaemon) -> None:
    daemon.settings = {"listen-port": "99999"}
    assert daemon.spawn().wait(60) == 2
    assert "[invalid_setting]" in daemon.log
    assert "65535" in daemon.log
    assert not (daemon.folder / "state").exists()


def test_an_empty_listen_address_closes_the_tcp_door(daemon: RealDaemon) -> None:
    daemon.start()
    assert "https://" not in daemon.log


def test_a_request_to_end_ends_cleanly_and_guests_go_on(daemon: RealDaemon) -> None:
    furnish(daemon)
    guests = list((daemon.folder / "run" / "instances").glob("*/fake.json"))
    before = [path.read_bytes() for path in guests]
    assert daemon.end() == 0
    assert not daemon.socket.exists()
    assert not (daemon.folder / "run" / "lodged.pid").exists()
    assert [path.read_bytes() for path in guests] == before
    daemon.start()
    assert daemon.states() == {"web": "running"}


def test_a_request_to_end_in_the_middle_of_tasks_loses_none(daemon: RealDaemon) -> None:
    furnish(daemon)
    names = [f"many{number}" for number in range(30)]
    for name in names:
        assert daemon.ask("POST", VMS, {"name": name, **TINY}).status == 202
    assert daemon.end() == 0
    daemon.start()
    for task in daemon.good("GET", "/v1/tasks?limit=200")["items"]:
        assert daemon.ask("GET", f"/v1/tasks/{task['id']}?wait=60").body["state"] == "done"
    assert daemon.states() == dict.fromkeys(["web", *names], "running")


def test_a_full_disk_fails_tasks_whole_and_is_recovered_from(daemon: RealDaemon) -> None:
    state = daemon.folder / "state"
    with mounted_tmpfs(state, size_bytes=400 << 20):
        furnish(daemon)
        filler = state / "filler"
        fill(filler)
        answers = [
            daemon.ask("POST", f"{VMS}?wait=30", {"name": f"no{place}", **TINY})
            for place in range(3)
        ]
        assert {answer.status for answer in answers} <= {409, 503}, answers
        assert daemon.states() == {"web": "running"}
        filler.unlink()
        deadline = time.monotonic() + 60
        while daemon.ask("POST", f"{VMS}?wait=30", {"name": "yes", **TINY}).status >= 300:
            assert time.monotonic() < deadline, daemon.log
            time.sleep(0.2)
        assert daemon.states() == {"web": "running", "yes": "running"}
        assert len(daemon.good("GET", "/v1/volumes")["items"]) == 2
        assert len(list((state / "instances").iterdir())) == 2
        daemon.end()
        fill(filler)
        said = spawn_on_full_disk(daemon)
        assert "Traceback" not in said
        filler.unlink()
        daemon.start()
        assert daemon.states() == {"web": "running", "yes": "running"}
        daemon.end()


def fill(path: Path) -> None:
    """Take all the room there is."""
    subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=4k"], stderr=-3, check=False)


def spawn_on_full_disk(daemon: RealDaemon) -> str:
    """It may come up or not; if it does, it must end when asked. Returns what it said."""
    before = len(daemon.log)
    process = daemon.spawn()
    deadline = time.monotonic() + 30
    while process.poll() is None and not daemon.answers() and time.monotonic() < deadline:
        time.sleep(0.05)
    if process.poll() is None:
        assert daemon.end() == 0
    return daemon.log[before:]

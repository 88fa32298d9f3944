"""A real daemon is killed with SIGKILL in the middle of tasks; the next one finishes them."""

import json
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from real_daemon import RealDaemon

pytestmark = pytest.mark.root

VMS = "/v1/instances"
STEPS = {
    "instance.create": ("record", "addresses", "disk", "seed", "start"),
    "instance.delete": ("stop", "disks", "folders", "addresses", "record"),
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RealDaemon]:
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o711)
    made = RealDaemon(tmp_path)
    try:
        yield made
    finally:
        made.close()


def dies_of(daemon: RealDaemon, *request: Any) -> None:
    """Send the request at one of whose task's points the daemon kills itself."""
    with suppress(OSError, ValueError):  # it may be gone before it answers
        daemon.ask(*request)
    assert daemon.process is not None
    assert daemon.process.wait(30) == -signal.SIGKILL


def settled(daemon: RealDaemon) -> list[dict[str, Any]]:
    """All tasks, once the next daemon has ended what it found."""
    for task in daemon.good("GET", "/v1/tasks?limit=200")["items"]:
        daemon.ask("GET", f"/v1/tasks/{task['id']}?wait=30")
    tasks: list[dict[str, Any]] = daemon.good("GET", "/v1/tasks?limit=200")["items"]
    return tasks


def guests(daemon: RealDaemon) -> dict[str, str]:
    runs = (daemon.folder / "run" / "instances").glob("*/fake.json")
    return {path.parent.name: json.loads(path.read_text())["started_at"] for path in runs}


def points_of(kind: str) -> list[str]:
    inside = [f"{kind}/{s}/{p}" for s in STEPS[kind] for p in ("before", "after", "journaled")]
    return [f"{kind}/submitted", f"{kind}/started", f"{kind}/checked", *inside, f"{kind}/done"]


def test_steps_named_here_are_those_of_the_product(daemon: RealDaemon) -> None:
    daemon.start()
    daemon.good("POST", "/v1/images/build", {"recipe": "tiny"})
    daemon.good("POST", VMS, {"name": "web", "image": "tiny", "memory_mib": 64})
    daemon.good("DELETE", f"{VMS}/web?force=true")
    seen = {task["kind"]: task["steps"] for task in settled(daemon)}
    assert {k: tuple(step["name"] for step in seen[k]) for k in STEPS} == STEPS


def test_a_create_and_a_delete_survive_a_kill_at_each_of_their_points(daemon: RealDaemon) -> None:
    """Each daemon ends what the one before it left, and dies of the next task."""
    daemon.start()
    daemon.good("POST", "/v1/images/build", {"recipe": "tiny"})
    daemon.good("POST", VMS, {"name": "calm", "image": "tiny", "memory_mib": 64})
    bystander = guests(daemon)
    assert daemon.end() == 0
    creates, deletes = points_of("instance.create"), points_of("instance.delete")
    for place, (making, removing) in enumerate(zip(creates, deletes, strict=True)):
        name = f"web{place}"
        daemon.start({"LODGE_KILL_AT": making})
        check_that_only_calm_is_left(daemon, bystander)
        dies_of(daemon, "POST", VMS, {"name": name, "image": "tiny", "memory_mib": 64})

        daemon.start({"LODGE_KILL_AT": removing})
        assert {task["state"] for task in settled(daemon)} == {"done"}, making
        assert daemon.states() == {"calm": "running", name: "running"}, making
        assert guests(daemon).items() >= bystander.items()
        dies_of(daemon, "DELETE", f"{VMS}/{name}?force=true")
    daemon.start()
    check_that_only_calm_is_left(daemon, bystander)


def check_that_only_calm_is_left(daemon: RealDaemon, bystander: dict[str, str]) -> None:
    assert {task["state"] for task in settled(daemon)} == {"done"}
    assert daemon.states() == {"calm": "running"}
    assert guests(daemon) == bystander
    leases = daemon.good("GET", "/v1/networks/default/leases")["items"]
    assert [lease["instance"] for lease in leases] == ["calm"]
    assert len(daemon.good("GET", "/v1/volumes")["items"]) == 1
    assert len(list((daemon.folder / "state" / "instances").iterdir())) == 1

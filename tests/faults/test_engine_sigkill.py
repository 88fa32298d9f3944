"""The same deaths for real: SIGKILL from inside, at points of a task over an SQLite file."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import killed_daemon
import pytest
from virtual_world import VirtualWorld

from lodge.model.task import Task, TaskState
from lodge.store.records import Records
from lodge.store.sqlite.store import SqliteStore


def run_daemon(folder: Path, kind: str, point: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, killed_daemon.__file__, folder, kind, point]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def stored(folder: Path) -> tuple[list[Task], int]:
    """The tasks that the database has, and the number of locks."""

    async def read() -> tuple[list[Task], int]:
        store = await SqliteStore.open(folder, VirtualWorld(), backups_kept=0)
        tasks = [task for _, task in Records(store, "tasks/", Task).items()]
        locks = len(store.list("locks/")[0])
        await store.close()
        return tasks, locks

    return asyncio.run(read())


@pytest.mark.parametrize("kind", ["files.make", "files.try"])
@pytest.mark.parametrize(
    "point",
    ["submitted", "started", "file-0/before", "file-1/after", "file-1/journaled", "file-2/after"],
)
def test_a_killed_daemon_leaves_nothing_half_to_the_next(
    tmp_path: Path, kind: str, point: str
) -> None:
    pieces = tmp_path / "pieces"
    pieces.mkdir()
    assert run_daemon(tmp_path, kind, point).returncode == -signal.SIGKILL
    again = run_daemon(tmp_path, kind, "-")
    assert again.returncode == 0, again.stderr
    (task,), locks = stored(tmp_path)
    assert locks == 0
    assert again.stdout.split() == [task.state.value]
    is_undone = kind == "files.try" and point.startswith("file-")
    assert task.state is (TaskState.FAILED if is_undone else TaskState.DONE)
    assert sorted(path.name for path in pieces.iterdir()) == ([] if is_undone else ["0", "1", "2"])

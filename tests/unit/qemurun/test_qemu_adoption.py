"""Handles and notes: what is believed, what is not."""

import os
from pathlib import Path

import pytest

from lodge.drivers.instance.errors import HandleLostError
from lodge.drivers.instance.qemu.adopt import (
    drop_note,
    is_ours,
    processes_of,
    read_note,
    write_note,
)
from lodge.drivers.instance.qemu.handle import QemuHandle, dump_handle, load_handle
from lodge.system.process import identify


def handle(tmp_path: Path, *, pid: int, start_ticks: int) -> QemuHandle:
    return QemuHandle(
        pid=pid,
        start_ticks=start_ticks,
        uid=os.getuid(),
        started_at=1.5,
        run_dir=str(tmp_path / "run"),
        state_dir=str(tmp_path / "state"),
        accelerator="tcg",
        machine="pc-q35-7.2",
        places={"disk-root": "port0"},
    )


def test_a_handle_comes_back_from_the_store_as_it_was(tmp_path: Path) -> None:
    made = handle(tmp_path, pid=7, start_ticks=8)
    assert load_handle(dump_handle(made)) == made


@pytest.mark.parametrize("wrong", [{}, {"pid": "x"}, {"run_dir": "/fake"}])
def test_a_handle_of_another_driver_is_lost(wrong: dict[str, object]) -> None:
    with pytest.raises(HandleLostError, match="qemu"):
        load_handle(wrong)


def test_a_note_is_private_beside_the_run_folder_and_removed_twice(tmp_path: Path) -> None:
    made = handle(tmp_path, pid=7, start_ticks=8)
    write_note(made)
    note = tmp_path / "run.handle"
    assert note.stat().st_mode & 0o777 == 0o600
    assert read_note(made.folder) == made
    for _ in range(2):
        drop_note(made.folder)
    assert read_note(made.folder) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"pid": 1}'])
def test_a_damaged_note_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.handle").write_bytes(content)
    assert read_note(tmp_path / "run") is None


def test_a_living_process_that_was_not_started_for_the_instance_is_not_ours(
    tmp_path: Path,
) -> None:
    myself = identify(os.getpid())
    assert myself is not None
    assert not is_ours(handle(tmp_path, pid=myself.pid, start_ticks=myself.start_ticks))
    assert not is_ours(handle(tmp_path, pid=myself.pid, start_ticks=myself.start_ticks + 1))


@pytest.mark.parametrize("uid", [0, 1000, 599_999, 665_536])
def test_the_processes_of_users_that_are_not_instances_are_nobodys_strays(uid: int) -> None:
    assert processes_of(uid) == []

"""Logs: who owns them, how they are turned over, what is never followed."""

import os
from pathlib import Path

import pytest

from lodge.drivers.instance.qemu.logs import log_files, log_path, prepare_log, rotate, size_of, tail


def test_a_log_that_is_open_for_appending_goes_on_at_the_beginning_after_rotation(
    tmp_path: Path,
) -> None:
    log = log_path(tmp_path, "serial")
    with log.open("ab", buffering=0) as writer:
        for age in range(4):
            writer.write(b"%d" % age * 100)
            assert rotate(log, limit_bytes=50)
            assert log.read_bytes() == b""
        writer.write(b"now")
        assert not rotate(log, limit_bytes=50)
    files = log_files(tmp_path)["serial"]
    assert [file.name for file in files] == ["serial.log.2", "serial.log.1", "serial.log"]
    assert [file.read_bytes()[:1] for file in files] == [b"2", b"3", b"n"]


def test_rotated_logs_are_private(tmp_path: Path) -> None:
    log = log_path(tmp_path, "qemu")
    log.write_bytes(b"x" * 100)
    rotate(log, limit_bytes=50)
    assert (tmp_path / "qemu.log.1").stat().st_mode & 0o777 == 0o600


def test_a_log_is_made_private_and_kept_when_it_exists(tmp_path: Path) -> None:
    log = log_path(tmp_path / "state", "serial")
    prepare_log(log, uid=os.getuid())
    log.write_text("kept")
    log.chmod(0o644)
    prepare_log(log, uid=os.getuid())
    assert log.read_text() == "kept"
    assert log.stat().st_mode & 0o777 == 0o600


def test_links_in_place_of_logs_are_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not touch" * 100)
    log = log_path(tmp_path, "serial")
    log.symlink_to(secret)
    assert tail(log, limit_bytes=100) == b""
    assert log_files(tmp_path)["serial"] == []
    with pytest.raises(OSError, match="symbolic link"):
        prepare_log(log, uid=os.getuid())
    with pytest.raises(OSError, match="symbolic link"):
        rotate(log, limit_bytes=0)
    assert secret.read_text() == "do not touch" * 100


def test_a_pipe_in_place_of_a_log_blocks_nobody(tmp_path: Path) -> None:
    log = log_path(tmp_path, "serial")
    os.mkfifo(log)
    assert tail(log, limit_bytes=100) == b""


@pytest.mark.parametrize(
    ("limit", "since", "seen"), [(3, 0, b"789"), (100, 5, b"56789"), (100, 50, b"0123456789")]
)
def test_a_tail_ends_at_the_end_and_begins_where_it_may(
    tmp_path: Path, limit: int, since: int, seen: bytes
) -> None:
    log = log_path(tmp_path, "qemu")
    log.write_bytes(b"0123456789")
    assert tail(log, limit_bytes=limit, since=since) == seen


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert size_of(tmp_path / "none") == 0
    assert tail(tmp_path / "none", limit_bytes=10) == b""
    assert not rotate(tmp_path / "none")
    assert log_files(tmp_path) == {"serial": [], "qemu": []}

"""What only happens on a terminal: questions and bars."""

import io
import os
import pty
import subprocess
import sys
import time

import canned_records as records
import msgspec
import pytest
from command_desk import Desk

from lodge.cli.progress import ProgressLine, progress_text


def bar(done: int, total: int | None, width: int | None) -> str:
    task = msgspec.to_builtins(records.downloading(done, total))
    return progress_text("Adding x", task, records.NOW, width)


def test_a_bar_tells_percent_bytes_and_time_left() -> None:
    assert bar(1 << 29, 1 << 30, 120) == (
        "Adding x: download (1/2)  [############............]   50%"
        "  512 MiB of 1 GiB  ETA 10s  mirror 1"
    )


def test_a_download_of_unknown_size_has_no_percent_and_promises_nothing() -> None:
    assert bar(1 << 20, None, 120) == "Adding x: download (1/2)  1 MiB  mirror 1"


def test_a_bar_never_wraps_on_a_narrow_terminal() -> None:
    for width in (10, 20, 40, 60):
        assert len(bar(1, 1 << 30, width)) < width


def test_a_bar_is_drawn_on_one_line_and_taken_away() -> None:
    stream = io.StringIO()
    line = ProgressLine(_Wide(stream), "Adding x", is_terminal=True)
    for done in (1, 2):
        line.show(msgspec.to_builtins(records.downloading(done << 20, 4 << 20)), records.NOW)
    line.clear()
    line.clear()
    written = stream.getvalue()
    assert "\n" not in written
    assert written.count("\r\x1b[K") == 3
    assert written.endswith("\r\x1b[K")


class _Wide(io.StringIO):
    """A stream without a descriptor writes into another one."""

    def __init__(self, target: io.StringIO) -> None:
        super().__init__()
        self._target = target

    def write(self, text: str) -> int:
        return self._target.write(text)

    def fileno(self) -> int:
        raise OSError("no descriptor")


def on_terminal(desk: Desk, typed: bytes, *words: str) -> tuple[int, bytes]:
    mine, theirs = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", "from lodge.cli.main import entry; entry()", *words],
        env={**desk.environment, "PYTHONPATH": ":".join(sys.path)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen, deadline = b"", time.monotonic() + 30
    try:
        while b"[y/N]" not in seen:
            assert time.monotonic() < deadline, seen
            seen += os.read(mine, 4096)
        os.write(mine, typed)
        status = program.wait(30)
        return status, seen + os.read(mine, 4096)
    finally:
        if program.poll() is None:
            program.kill()
            program.wait()
        os.close(mine)


@pytest.mark.parametrize(
    ("typed", "status", "count"), [(b"y\n", 0, 1), (b"\n", 5, 0), (b"no\n", 5, 0)]
)
def test_deleting_on_a_terminal_asks_first(
    desk: Desk, typed: bytes, status: int, count: int
) -> None:
    desk.api.on("DELETE", "/v1/instances/web1", records.answer())
    ended, seen = on_terminal(desk, typed, "delete", "web1")
    assert ended == status
    assert b"all data on the disks" in seen
    assert len(desk.api.calls("DELETE", "/v1/instances/web1")) == count

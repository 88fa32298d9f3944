"""Folders and names that somebody else prepared: root writes, gives away and follows nothing there.

A guest that has taken over its own QEMU acts as that process's user. These tests play that user's
part with the files it could have made.
"""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from lodge.drivers.instance.qemu.firmware import make_nvram
from lodge.drivers.instance.qemu.logs import log_path, prepare_log, rotate
from lodge.services.instances.folders import InstanceFolders
from lodge.system.errors import UntrustedFileError
from lodge.system.files import write_whole
from lodge.system.identity import FIRST_GUEST_UID
from lodge.system.sockets import connect_untrusted, listen_private

UID = FIRST_GUEST_UID + 77


def facts(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.fixture
def treasure(tmp_path: Path) -> Path:
    """A file of the host that nobody may change."""
    path = tmp_path / "shadow"
    path.write_text("root:*:\n")
    path.chmod(0o600)
    return path


@pytest.mark.root
def test_an_instances_state_folder_is_the_daemons_and_only_its_process_may_pass(
    tmp_path: Path,
) -> None:
    folders = InstanceFolders(tmp_path / "state", tmp_path / "run")
    folders.make("one", UID)
    assert facts(folders.of("one")) == (0, UID, 0o710)


def test_a_link_in_the_place_of_an_unfinished_file_is_not_written_through(
    tmp_path: Path, treasure: Path
) -> None:
    target = tmp_path / "seed.iso"
    planted = target.with_name(f".{target.name}.{os.getpid()}.new")
    planted.symlink_to(treasure)
    write_whole(target, b"new", mode=0o400)
    assert treasure.read_text() == "root:*:\n"
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.root
def test_a_file_given_to_a_guest_never_takes_another_file_with_it(
    tmp_path: Path, treasure: Path
) -> None:
    template = tmp_path / "vars.fd"
    template.write_bytes(b"empty variables")
    nvram = tmp_path / "nvram"
    for name in (f".nvram.{os.getpid()}.new", "nvram.fresh", f".nvram.fresh.{os.getpid()}.new"):
        (tmp_path / name).symlink_to(treasure)
    make_nvram(template, nvram, uid=UID)
    assert nvram.read_bytes() == b"empty variables"
    assert facts(nvram)[0] == UID
    assert facts(treasure) == (0, 0, 0o600)
    assert treasure.read_text() == "root:*:\n"


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/etc/shadow", path)])
def test_a_pipe_or_a_link_in_the_place_of_a_log_is_refused_at_once(
    tmp_path: Path, make: object
) -> None:
    log = log_path(tmp_path, "serial")
    make(log)  # type: ignore[operator]
    with pytest.raises(OSError, match=r"No such device|symbolic links"):
        prepare_log(log, uid=os.geteuid())


def test_a_log_that_claims_a_terabyte_is_rotated_without_copying_it(tmp_path: Path) -> None:
    log = log_path(tmp_path, "serial")
    with log.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"the last words")
    assert rotate(log, limit_bytes=4096)
    kept = log.with_name("serial.log.1")
    assert kept.stat().st_size == 8192
    assert kept.read_bytes().endswith(b"the last words")
    assert log.stat().st_size == 0


@pytest.mark.root
def test_the_daemons_own_socket_is_not_taken_for_a_guests_screen(tmp_path: Path) -> None:
    own, run_dir = tmp_path / "lodged.sock", tmp_path / "one"
    listener = listen_private(own)
    run_dir.mkdir()
    os.link(own, run_dir / "vnc.sock")
    for owner in ((UID, UID), (0, UID)):
        os.chown(run_dir, *owner)
        with pytest.raises(UntrustedFileError):
            asyncio.run(connect_untrusted(run_dir / "vnc.sock"))
    os.chown(run_dir / "vnc.sock", UID, UID)  # as QEMU would have made it

    async def connect() -> None:
        _, writer = await connect_untrusted(run_dir / "vnc.sock")
        writer.close()

    asyncio.run(connect())
    listener.close()

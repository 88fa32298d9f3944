"""What ends up in an image does not depend on the daemon's umask."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.drivers.builder.debian.overlay import finish_tree, lay_overlay
from lodge.drivers.builder.modes import open_folders
from lodge.system.process import run


@pytest.fixture(autouse=True)
def _as_the_daemon() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_folders_of_an_image_are_open_to_its_users(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    open_folders(tmp_path)
    assert {mode(tmp_path), mode(tmp_path / "a"), mode(tmp_path / "a/b")} == {0o755}


def test_the_overlay_and_the_last_files_are_readable_in_the_guest(tmp_path: Path) -> None:
    lay_overlay(tmp_path)
    (tmp_path / "etc/apt/apt.conf.d").mkdir(parents=True)
    finish_tree(tmp_path, [])
    assert mode(tmp_path / "etc") == 0o755
    assert mode(tmp_path / "etc/fstab") == 0o644
    assert mode(tmp_path / "etc/hostname") == 0o644


def test_a_program_makes_files_with_the_modes_it_means(tmp_path: Path) -> None:
    asyncio.run(run(["mkdir", tmp_path / "made"]))
    assert mode(tmp_path / "made") == 0o755

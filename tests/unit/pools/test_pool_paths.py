"""Where a pool may lie, and where not."""

import os
from pathlib import Path

import pytest

from lodge.services.pools.errors import InvalidPoolPathError
from lodge.services.pools.paths import check_ground, check_pool_path

RESERVED = (Path("/var/lib/lodge"), Path("/run/lodge"))
TAKEN = {"fast": Path("/srv/fast")}


def check(text: str) -> Path:
    return check_pool_path(text, reserved=RESERVED, taken=TAKEN)


@pytest.mark.parametrize(
    "text",
    ["/srv/slow", "/srv/faster", "/data", "/mnt/disk1/lodge", "/home/ann/pool", "/srv/slow/"],
)
def test_a_folder_of_its_own_is_fine(text: str) -> None:
    assert check(text) == Path(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not an absolute path"),
        ("pools/fast", "not an absolute path"),
        ("~/pool", "not an absolute path"),
        ("/srv/../etc/pool", "not written plainly"),
        ("/srv//x", "not written plainly"),
        ("/srv/./x", "not written plainly"),
        ("/srv/a\nb", "not written plainly"),
        ("/srv/a\0b", "not written plainly"),
        ("/srv/" + "x" * 900, "too long"),
        ("/", "belongs to the system"),
        ("/srv", "belongs to the system"),
        ("/var/lib", "belongs to the system"),
        ("/tmp", "belongs to the system"),
        ("/etc/pool", "belongs to the system"),
        ("/usr", "belongs to the system"),
        ("/usr/local/pool", "belongs to the system"),
        ("/dev/shm/pool", "belongs to the system"),
        ("/proc/1/root", "belongs to the system"),
        ("/run/lodge/x", "belongs to the system"),
        ("/var/lib/lodge", "Lodge's own folder"),
        ("/var/lib/lodge/images/x", "Lodge's own folder"),
        ("/srv/fast", "already the folder of pool 'fast'"),
        ("/srv/fast/", "already the folder of pool 'fast'"),
        ("/srv/fast/inner", "overlaps pool 'fast'"),
    ],
)
def test_a_bad_place_is_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(InvalidPoolPathError, match=says) as refused:
        check(text)
    assert refused.value.where == "path"
    assert refused.value.hint


def test_a_folder_around_another_pool_is_refused() -> None:
    with pytest.raises(InvalidPoolPathError, match="overlaps pool 'deep'"):
        check_pool_path("/srv/a", reserved=(), taken={"deep": Path("/srv/a/b/c")})


def test_a_symbolic_link_anywhere_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    check_ground(tmp_path / "real" / "pool")
    for path in (tmp_path / "link", tmp_path / "link" / "pool"):
        with pytest.raises(InvalidPoolPathError, match="symbolic link") as refused:
            check_ground(path)
        assert str(tmp_path / "real") in refused.value.hint


def test_a_file_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidPoolPathError):
        check_ground(tmp_path / "file" / "pool")
    with pytest.raises(InvalidPoolPathError, match="not a folder"):
        check_ground(tmp_path / "file")


@pytest.mark.root
def test_a_folder_that_others_may_swap_is_refused(tmp_path: Path) -> None:
    shared, owned = tmp_path / "shared", tmp_path / "owned"
    shared.mkdir()
    shared.chmod(0o777)
    owned.mkdir()
    os.chown(owned, 1000, 1000)
    for path in (shared, owned, shared / "pool", owned / "pool"):
        with pytest.raises(InvalidPoolPathError, match="can be changed by others"):
            check_ground(path)
    shared.chmod(0o1777)
    check_ground(shared / "pool")

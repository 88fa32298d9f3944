"""Every storage driver, each with a pool of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from private_mounts import mounted_image

from lodge.drivers.storage.contract import PoolPlace, StorageDriver
from lodge.drivers.storage.registry import storage_driver

MakeDriver = Callable[[], StorageDriver]


@pytest.fixture(params=["fake", "dir", pytest.param("btrfs", marks=pytest.mark.root)])
def driver_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ground(driver_name: str, tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that the driver accepts."""
    if driver_name != "btrfs":
        yield tmp_path
        return
    with mounted_image(tmp_path / "ground", "btrfs", size_mib=160) as folder:
        yield folder


@pytest.fixture
def place(ground: Path) -> PoolPlace:
    return PoolPlace("fast", "0123abcd", ground / "pools" / "fast")


@pytest.fixture
def make_driver(driver_name: str, place: PoolPlace) -> MakeDriver:
    """A new driver object for the same pool, as a restarted daemon makes one."""
    return lambda: storage_driver(driver_name)(place)

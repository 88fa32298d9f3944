"""A volume whose header was rewritten by the process it was given to."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lodge.drivers.storage.contract import PoolPlace
from lodge.drivers.storage.dir.driver import DirStorage
from lodge.model.storage import VolumeFormat
from lodge.system.errors import ProgramFailedError
from lodge.system.identity import FIRST_GUEST_UID

pytestmark = pytest.mark.root

UID = FIRST_GUEST_UID + 78
MIB = 1 << 20


@pytest.fixture
def pool() -> Iterator[Path]:
    """The folder of a pool that users may pass through to, as pools must be."""
    folder = Path(tempfile.mkdtemp(prefix="lodge-hostile-"))
    folder.chmod(0o711)
    yield folder / "pool"
    shutil.rmtree(folder)


def rewrite(path: Path, size: str, *options: str) -> None:
    """Put another qcow2 into the same file, as its owner could."""
    made = path.with_name("made.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *options, made, size], check=True)
    path.write_bytes(made.read_bytes())
    made.unlink()


async def granted(folder: Path) -> tuple[DirStorage, Path]:
    pool = DirStorage(PoolPlace(name="p", id="p1", path=folder))
    await pool.create_pool()
    await pool.create_volume("web", size_bytes=64 * MIB, layout=VolumeFormat.QCOW2)
    await pool.grant("web", uid=UID)
    return pool, folder / "web.qcow2"


def test_a_program_that_reads_it_has_the_rights_of_that_process_only(pool: Path) -> None:
    async def scenario() -> None:
        driver, path = await granted(pool)
        secret = pool.parent / "secret.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", secret, "64M"], check=True)
        secret.chmod(0o600)
        rewrite(path, "64M", "-u", "-o", "cluster_size=512", "-b", str(secret), "-F", "qcow2")
        with pytest.raises(ProgramFailedError, match="Permission denied"):
            await driver.resize_volume("web", size_bytes=1024 * MIB)

    asyncio.run(scenario())


def test_such_a_volume_still_grows_and_keeps_its_owner(pool: Path) -> None:
    async def scenario() -> None:
        driver, path = await granted(pool)
        rewrite(path, "64M", "-o", "cluster_size=512")
        await driver.resize_volume("web", size_bytes=1024 * MIB)
        assert (await driver.volume_usage("web")).virtual_bytes == 1024 * MIB
        facts = os.stat(path)
        assert (facts.st_uid, facts.st_mode & 0o777) == (UID, 0o600)

    asyncio.run(scenario())

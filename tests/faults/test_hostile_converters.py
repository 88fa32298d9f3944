"""A program that reads somebody's disk file and was taken over by it."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from lodge.base.world import RealWorld
from lodge.drivers.storage.formats.facts import DiskFacts
from lodge.model.image import ImageFormat
from lodge.services.images.conversion import ConversionLimits, Converter, convert_argv
from lodge.system.process import run

pytestmark = pytest.mark.root

FACTS = DiskFacts(ImageFormat.RAW, 1 << 20, 1 << 20)
SLEEP_S = "4247.5"


def caged(script: str) -> list[str]:
    """The cage of a conversion with another program inside."""
    argv = convert_argv(FACTS, ConversionLimits())
    return [*argv[: argv.index("qemu-img")], "sh", "-c", script]


def sleepers() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and SLEEP_S in (entry / "cmdline").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_nobody_it_started_lives_on_to_change_what_was_looked_at() -> None:
    asyncio.run(run(caged(f"setsid sleep {SLEEP_S} & setsid sleep {SLEEP_S} & echo left")))
    assert sleepers() == []


def test_it_has_no_rights_and_of_the_network_its_own_loopback_only() -> None:
    said = asyncio.run(
        run(caged("id -u; id -G; grep -c : /proc/net/dev; grep Cap /proc/self/status"))
    )
    words = said.stdout.decode().split("\n")
    assert words[:3] == ["599998", "599998", "1"]
    assert {line.split()[1] for line in words if line.startswith(("CapEff", "CapPrm"))} == {
        "0" * 16
    }


def test_what_it_wrote_belongs_to_root_before_it_is_looked_at_for_the_last_time(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        work = tmp_path / "work"
        work.mkdir()
        (work / "source").write_bytes(bytes(1 << 20))
        converter = Converter(RealWorld())
        facts = await converter.inspect(work / "source", ImageFormat.RAW)
        disk = await converter.convert(work, facts, lambda _bytes: None)
        for path in (work, disk):
            assert (path.lstat().st_uid, path.lstat().st_gid) == (0, 0)
        assert stat.S_ISREG(os.lstat(disk).st_mode)

    asyncio.run(scenario())

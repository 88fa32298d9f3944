"""Disks of every format that can be imported, made and compared by the real qemu-img."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from image_house import ROOT, image_house

from lodge.model.image import ImageAdd, ImageFormat
from lodge.model.task import TaskState

pytestmark = pytest.mark.root

MIB = 1 << 20
MAKES = {
    ImageFormat.RAW: ["-O", "raw"],
    ImageFormat.QCOW2: ["-c", "-O", "qcow2", "-o", "compression_type=zstd"],
    ImageFormat.VMDK: ["-O", "vmdk", "-o", "subformat=streamOptimized"],
    ImageFormat.VDI: ["-O", "vdi"],
    ImageFormat.VPC: ["-O", "vpc"],
    ImageFormat.VHDX: ["-O", "vhdx"],
}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A sparse disk of 40 MiB with a boot signature and some data."""
    path = tmp_path / "raw"
    with path.open("wb") as file:
        file.truncate(40 * MIB)
        file.seek(510)
        file.write(b"\x55\xaa")
        file.seek(20 * MIB)
        file.write(os.urandom(MIB))
    return path


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "recognised"])
@pytest.mark.parametrize("kind", MAKES)
def test_a_disk_of_any_format_becomes_the_same_disk_as_qcow2(
    tmp_path: Path, raw: Path, kind: ImageFormat, *, is_told: bool
) -> None:
    source = tmp_path / f"disk.{kind.value}"
    subprocess.run(["qemu-img", "convert", "-f", "raw", *MAKES[kind], raw, source], check=True)

    async def scenario() -> Path:
        async with image_house(tmp_path / "state") as house:
            request = ImageAdd(source=str(source), alias="d", format=kind if is_told else None)
            task = await house.done(await house.images.add(request, ROOT))
            assert task.state is TaskState.DONE, task.error
            assert house.images.get("d").virtual_bytes >= 40 * MIB
            return house.images.file("d")

    made = asyncio.run(scenario())
    subprocess.run(["qemu-img", "check", "-q", made], check=True)
    compare = ["qemu-img", "compare", "-q", "-f", kind.value, "-F", "qcow2", source, made]
    subprocess.run(compare, check=True)


def test_one_disk_in_two_formats_is_one_image(tmp_path: Path, raw: Path) -> None:
    packed = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, packed], check=True)

    async def scenario() -> None:
        async with image_house(tmp_path / "state") as house:
            for number, source in enumerate((raw, packed)):
                request = ImageAdd(source=str(source), alias=f"a{number}")
                task = await house.done(await house.images.add(request, ROOT))
                assert task.state is TaskState.DONE, task.error
            assert [image.aliases for image in house.images.list()] == [("a0", "a1")]

    asyncio.run(scenario())


def test_the_converter_has_no_rights_and_its_output_belongs_to_root(
    tmp_path: Path, raw: Path
) -> None:
    """The source may be readable by root only, below folders nobody else may enter."""
    raw.chmod(0o600)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)

    async def scenario() -> None:
        async with image_house(private / "state") as house:
            task = await house.done(await house.images.add(ImageAdd(source=str(raw)), ROOT))
            assert task.state is TaskState.DONE, task.error
            (image,) = house.images.list()
            assert house.images.file(image.fingerprint).stat().st_uid == 0

    asyncio.run(scenario())
    assert raw.stat().st_uid == 0

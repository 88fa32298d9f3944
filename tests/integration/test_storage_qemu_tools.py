"""What Lodge writes and reads is what QEMU's own tools make of it."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from lodge.base.units import GIB, KIB, MIB, TIB
from lodge.drivers.storage.contract import PoolPlace
from lodge.drivers.storage.dir.driver import DirStorage
from lodge.drivers.storage.errors import VolumeBusyError, VolumeTamperedError
from lodge.drivers.storage.formats.errors import DiskFileError
from lodge.drivers.storage.formats.inspect import inspect_untrusted
from lodge.drivers.storage.formats.qcow2_file import MAX_QCOW2_BYTES, write_new
from lodge.model.image import ImageFormat
from lodge.model.storage import VolumeFormat


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, cwd=cwd).stdout


def qemu_io(path: Path, *commands: str, image_format: str = "qcow2") -> str:
    flags = [part for command in commands for part in ("-c", command)]
    answer = run("qemu-io", "-f", image_format, *flags, path)
    assert "error" not in answer.lower()
    assert "Pattern verification failed" not in answer
    return answer


def size_of(path: Path) -> int:
    facts = json.loads(run("qemu-img", "info", "-U", "-f", "qcow2", "--output=json", path))
    return int(facts["virtual-size"])


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """An image of 64 MiB with two written places."""
    path = tmp_path / "base.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", path, "64M")
    qemu_io(path, "write -P 7 0 1M", "write -P 8 40M 300k")
    return path


@pytest.fixture
def pool(tmp_path: Path) -> DirStorage:
    driver = DirStorage(PoolPlace("fast", "abcd", tmp_path / "pool"))
    asyncio.run(driver.create_pool())
    return driver


def made(pool: DirStorage, size_bytes: int, base: Path | None = None) -> Path:
    asyncio.run(
        pool.create_volume("web", size_bytes=size_bytes, layout=VolumeFormat.QCOW2, base=base)
    )
    return asyncio.run(pool.volume_files("web")).path


@pytest.mark.parametrize("size_bytes", [512, MIB + 512, 100 * GIB, 16 * TIB, 200 * TIB])
def test_a_new_disk_of_any_size_is_sound(tmp_path: Path, size_bytes: int) -> None:
    path = tmp_path / "new"
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    write_new(handle, size_bytes=size_bytes, backing=None, backing_format="qcow2")
    os.close(handle)
    assert size_bytes <= MAX_QCOW2_BYTES
    assert "No errors were found" in run("qemu-img", "check", "-f", "qcow2", path)
    assert size_of(path) == size_bytes
    assert path.stat().st_blocks * 512 <= 64 * KIB


def test_a_linked_clone_reads_as_its_base_and_writes_beside_it(
    pool: DirStorage, base: Path
) -> None:
    before = base.read_bytes()
    path = made(pool, 64 * MIB, base)
    assert "Images are identical" in run("qemu-img", "compare", base, path)
    qemu_io(path, "write -P 9 4k 4k", "write -P 9 50M 1M", "write -z 40M 64k", "discard 1M 1M")
    qemu_io(
        path,
        "read -P 7 0 4k",
        "read -P 9 4k 4k",
        "read -P 7 8k 1000k",
        "read -P 0 40M 64k",
        "read -P 8 40M+64k 236k".replace("40M+64k", str(40 * MIB + 64 * KIB)),
        "read -P 9 50M 1M",
    )
    assert "No errors were found" in run("qemu-img", "check", "-f", "qcow2", path)
    assert base.read_bytes() == before


def test_a_small_write_into_a_clone_takes_a_small_place(pool: DirStorage, base: Path) -> None:
    path = made(pool, GIB, base)
    before = path.stat().st_blocks
    qemu_io(path, *[f"write -P 3 {place}M 4k" for place in range(100, 1000, 9)])
    grown = (path.stat().st_blocks - before) * 512
    assert grown <= 100 * 8 * KIB + 256 * KIB  # plain 64 KiB clusters would need 6.4 MB


@pytest.mark.parametrize("new_bytes", [64 * MIB, 65 * MIB, 3 * GIB, 16 * TIB, 17 * TIB])
def test_a_clone_grows_and_keeps_its_content(pool: DirStorage, base: Path, new_bytes: int) -> None:
    path = made(pool, 64 * MIB, base)
    qemu_io(path, "write -P 5 63M 1M")
    asyncio.run(pool.resize_volume("web", size_bytes=new_bytes))
    assert size_of(path) == new_bytes
    assert "No errors were found" in run("qemu-img", "check", "-f", "qcow2", path)
    qemu_io(path, "read -P 5 63M 1M", "read -P 7 0 1M")
    if new_bytes > 64 * MIB:
        end = new_bytes - 512
        qemu_io(path, f"read -P 0 {end} 512", f"write -P 6 {end} 512", f"read -P 6 {end} 512")
        assert "No errors were found" in run("qemu-img", "check", "-f", "qcow2", path)


@pytest.mark.parametrize("options", ["", "-oextended_l2=on,cluster_size=128k", "-ocompat=0.10"])
def test_disks_made_by_qemu_grow_too(tmp_path: Path, pool: DirStorage, options: str) -> None:
    path = tmp_path / "pool" / "web.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", *filter(None, [options]), path, "1G")
    qemu_io(path, "write -P 5 900M 1M")
    asyncio.run(pool.resize_volume("web", size_bytes=9 * GIB))
    assert size_of(path) == 9 * GIB
    qemu_io(path, "read -P 5 900M 1M", "write -P 6 8G 1M", "read -P 6 8G 1M")
    assert "No errors were found" in run("qemu-img", "check", "-f", "qcow2", path)


def test_a_disk_with_a_snapshot_inside_grows_by_qemus_own_hand(
    tmp_path: Path, pool: DirStorage
) -> None:
    path = made(pool, GIB)
    run("qemu-img", "snapshot", "-c", "before", path)
    asyncio.run(pool.resize_volume("web", size_bytes=2 * GIB))
    assert size_of(path) == 2 * GIB
    assert "before" in run("qemu-img", "snapshot", "-l", path)


def test_a_volume_that_qemu_has_open_is_left_alone(pool: DirStorage) -> None:
    path = made(pool, GIB)
    with subprocess.Popen(
        ["qemu-io", "-f", "qcow2", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as user:
        assert user.stdin is not None
        assert user.stdout is not None
        user.stdin.write("write 0 4k\n")
        user.stdin.flush()
        while "wrote" not in user.stdout.readline():
            assert user.poll() is None
        for refused in (
            pool.resize_volume("web", size_bytes=2 * GIB),
            pool.delete_volume("web"),
            pool.copy_volume("web", "copy"),
        ):
            with pytest.raises(VolumeBusyError, match="'web'"):
                asyncio.run(refused)
        user.stdin.write("quit\n")
        user.stdin.flush()
        user.wait(timeout=30)
    asyncio.run(pool.delete_volume("web"))


def test_a_raw_volume_from_an_image_holds_its_bytes(pool: DirStorage, base: Path) -> None:
    asyncio.run(pool.create_volume("web", size_bytes=80 * MIB, layout=VolumeFormat.RAW, base=base))
    path = asyncio.run(pool.volume_files("web")).path
    qemu_io(path, "read -P 7 0 1M", "read -P 8 40M 300k", image_format="raw")
    assert path.stat().st_size == 80 * MIB
    assert path.stat().st_mode & 0o777 == 0o600
    assert asyncio.run(pool.volume_usage("web")).allocated_bytes < 4 * MIB


def test_a_raw_disk_with_a_forged_header_stays_raw_everywhere(
    tmp_path: Path, pool: DirStorage
) -> None:
    """A guest writes a qcow2 header with a backing file of the host into its first sectors."""
    asyncio.run(pool.create_volume("web", size_bytes=8 * MIB, layout=VolumeFormat.RAW))
    path = asyncio.run(pool.volume_files("web")).path
    secret = tmp_path / "secret.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", secret, "1G")
    forged = tmp_path / "forged"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", secret, forged, "1G")
    with path.open("r+b") as disk:
        disk.write(forged.read_bytes())
    reopened = DirStorage(PoolPlace("fast", "abcd", tmp_path / "pool"))

    async def scenario() -> None:
        await reopened.open()
        files, usage = await reopened.volume_files("web"), await reopened.volume_usage("web")
        assert (files.format, files.chain) == (VolumeFormat.RAW, ())
        assert (usage.virtual_bytes, usage.shared_bytes) == (8 * MIB, 0)
        await reopened.resize_volume("web", size_bytes=16 * MIB)
        await reopened.copy_volume("web", "copy")
        assert (await reopened.volume_files("copy")).format is VolumeFormat.RAW

    asyncio.run(scenario())
    assert path.stat().st_size == 16 * MIB
    copy = tmp_path / "pool" / "copy.raw"
    assert copy.read_bytes()[:104] == forged.read_bytes()[:104]
    facts = inspect_untrusted(path, ImageFormat.RAW, max_virtual_bytes=GIB)
    assert facts.virtual_bytes == 16 * MIB


@pytest.mark.parametrize(
    "options", [["-b", "json:{}", "-u"], ["-b", "nbd://x/y", "-u"], ["-o", "data_file=elsewhere"]]
)
def test_a_header_that_a_taken_over_guest_rewrote_is_told(
    tmp_path: Path, pool: DirStorage, options: list[str]
) -> None:
    path = made(pool, GIB)
    path.unlink()
    options = ["-F", "raw", *options] if "-b" in options else options
    # The data file is made in the working folder.
    run("qemu-img", "create", "-q", "-f", "qcow2", *options, path, "1G", cwd=tmp_path)
    for asked in (
        pool.volume_files("web"),
        pool.resize_volume("web", size_bytes=2 * GIB),
        pool.copy_volume("web", "copy"),
    ):
        with pytest.raises(VolumeTamperedError):
            asyncio.run(asked)


MADE_BY_QEMU = [
    ("qcow2", ""),
    ("qcow2", "cluster_size=512"),
    ("qcow2", "cluster_size=2M"),
    ("qcow2", "compat=0.10"),
    ("qcow2", "extended_l2=on,cluster_size=128k"),
    ("qcow2", "refcount_bits=1"),
    ("qcow2", "preallocation=metadata"),
    ("vmdk", ""),
    ("vmdk", "subformat=streamOptimized"),
    ("vdi", ""),
    ("vdi", "static=on"),
    ("vpc", ""),
    ("vpc", "subformat=fixed"),
    ("vhdx", ""),
    ("vhdx", "subformat=fixed"),
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.raw"
    run("qemu-img", "create", "-q", "-f", "raw", path, "24M")
    qemu_io(path, "write -P 7 5M 3M", "write -P 9 20M 1M", image_format="raw")
    return path


@pytest.mark.parametrize(("kind", "options"), MADE_BY_QEMU, ids=str)
def test_sound_disks_of_every_format_pass(
    tmp_path: Path, source: Path, kind: str, options: str
) -> None:
    path = tmp_path / "disk"
    flags = ["-o", options] if options else []
    run("qemu-img", "convert", "-f", "raw", "-O", kind, *flags, source, path)
    facts = inspect_untrusted(path, None, max_virtual_bytes=GIB)
    assert facts.format.value == kind
    claimed = json.loads(run("qemu-img", "info", "-f", kind, "--output=json", path))
    assert facts.virtual_bytes == claimed["virtual-size"]


@pytest.mark.parametrize(("kind", "options"), MADE_BY_QEMU, ids=str)
@pytest.mark.parametrize("share", [0.3, 0.55])
def test_cut_disks_of_every_format_are_refused(
    tmp_path: Path, source: Path, kind: str, options: str, share: float
) -> None:
    path = tmp_path / "disk"
    flags = ["-o", options] if options else []
    run("qemu-img", "convert", "-f", "raw", "-O", kind, *flags, source, path)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(DiskFileError):
        inspect_untrusted(path, ImageFormat(kind), max_virtual_bytes=GIB)


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_compressed_disks_pass(tmp_path: Path, source: Path, compression: str) -> None:
    path = tmp_path / "disk"
    flags = ["-c", "-o", f"compression_type={compression}"]
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", *flags, source, path)
    assert inspect_untrusted(path, None, max_virtual_bytes=GIB).virtual_bytes == 24 * MIB


def test_a_multi_part_vmdk_is_refused(tmp_path: Path, source: Path) -> None:
    for kind in ("monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"):
        path = tmp_path / f"{kind}.vmdk"
        run("qemu-img", "convert", "-O", "vmdk", "-o", f"subformat={kind}", source, path)
        with pytest.raises(DiskFileError) as refused:
            inspect_untrusted(path, None, max_virtual_bytes=GIB)
        assert refused.value.code == "disk_file_has_parts"


def test_a_luks_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    run(
        *("qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=abc"),
        *("-o", "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", path, "8M"),
    )
    with pytest.raises(DiskFileError) as refused:
        inspect_untrusted(path, None, max_virtual_bytes=GIB)
    assert refused.value.code == "disk_file_encrypted"

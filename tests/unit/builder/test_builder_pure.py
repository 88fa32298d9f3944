"""The pure parts of the image builders."""

import asyncio
import gzip
import lzma
import stat
import subprocess
import uuid
from pathlib import Path

import pytest

from lodge.base.units import GIB, MIB
from lodge.drivers.builder.cpio import newc_archive
from lodge.drivers.builder.debian.options import SUITES, plan_of
from lodge.drivers.builder.debian.parse import progress_of
from lodge.drivers.builder.debian.render import Bootstrap, bootstrap_argv
from lodge.drivers.builder.errors import BuildFailedError
from lodge.drivers.builder.kernel import find_payload, unpack_kernel
from lodge.drivers.builder.packages import parse_depends
from lodge.drivers.builder.render import DiskPlan, filesystem_argv, partition_script
from lodge.drivers.builder.sources import (
    PackageSource,
    parse_settings,
    parse_targets,
    sources_for,
    without_password,
)
from lodge.drivers.builder.tiny.options import MODULES
from lodge.drivers.builder.tiny.parse import load_order, parse_modules

TARGETS = """Created-By: Packages
Release: bookworm
Component: main
Repo-URI: http://mirror.test/debian/
Origin: Debian
Signed-By: /keys.gpg

Created-By: Packages
Release: bookworm
Component: contrib
Repo-URI: http://mirror.test/debian/
Origin: Debian
Signed-By: /keys.gpg

Created-By: Packages
Release: bookworm-security
Component: main
Repo-URI: http://mirror.test/security/
Origin: Debian

Created-By: Translations
Release: bookworm
Component: main
Repo-URI: http://mirror.test/debian/
Origin: Debian

Created-By: Packages
Release: nodistro
Component: main
Repo-URI: https://elsewhere.test/
Origin: . elsewhere
"""


def test_the_hosts_mirrors_serve_another_suite_and_others_are_left_out() -> None:
    lines = [s.line() for s in sources_for("trixie", parse_targets(TARGETS), "bookworm")]
    assert lines == [
        "deb [signed-by=/keys.gpg] http://mirror.test/debian/ trixie main contrib",
        "deb http://mirror.test/security/ trixie-security main",
    ]
    assert sources_for("trixie", parse_targets(TARGETS), "noble") == []
    assert sources_for("trixie", parse_targets(""), "bookworm") == []


def test_only_settings_that_reach_the_mirror_are_taken_from_the_host() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.test:3128";\nAcquire::Check-Valid-Until "false";\n'
        'Acquire::http::Proxy::mirror.test "DIRECT";\nAPT::Periodic::Unattended-Upgrade "1";\n'
        'Acquire::https::Proxy "";\nDPkg::Post-Invoke:: "rm -f /x || true";\n'
    )
    assert parse_settings(dump) == [
        'Acquire::http::Proxy "http://proxy.test:3128";',
        'Acquire::Check-Valid-Until "false";',
        'Acquire::http::Proxy::mirror.test "DIRECT";',
    ]


def test_a_mirrors_password_does_not_get_into_an_image() -> None:
    line = PackageSource("https://me:hush@m.test/debian", "trixie", ("main",), "/k").line()
    assert without_password(line) == "deb [signed-by=/k] https://m.test/debian trixie main"
    assert without_password("# a note") == "# a note"


def test_dependencies_are_read_and_virtual_ones_left_out() -> None:
    text = "a\n  PreDepends: b\n  Depends: c\n |Depends: d\n  Depends: <e>\n  Suggests: f\n"
    assert parse_depends(text) == ["b", "c", "d"]


def test_modules_are_loaded_after_what_they_need_and_once() -> None:
    text = (
        "kernel/virtio_net.ko: kernel/net_failover.ko kernel/failover.ko kernel/virtio_ring.ko\n"
        "kernel/net_failover.ko: kernel/failover.ko\nkernel/failover.ko:\n"
        "kernel/virtio_ring.ko.xz:\nkernel/virtio-rng.ko: kernel/virtio_ring.ko.xz\n"
    )
    order = load_order(
        ("virtio_ring", "virtio-net", "virtio_rng", "not_there"), parse_modules(text)
    )
    assert order == [
        "kernel/virtio_ring.ko.xz",
        "kernel/failover.ko",
        "kernel/net_failover.ko",
        "kernel/virtio_net.ko",
        "kernel/virtio-rng.ko",
    ]


def test_virtio_ring_is_the_very_first_module() -> None:
    assert MODULES[:2] == ("virtio_ring", "virtio")


def test_an_archive_is_what_cpio_reads_and_the_same_each_time(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/busybox").write_bytes(b"x" * 1001)
    (tree / "bin/busybox").chmod(0o755)
    (tree / "bin/sh").symlink_to("busybox")
    (tree / "empty").touch()
    archive = newc_archive(tree)
    assert archive == newc_archive(tree)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["cpio", "-id", "--quiet"], cwd=out, input=archive, check=True)
    assert (out / "bin/sh").readlink() == Path("busybox")
    assert (out / "bin/busybox").read_bytes() == b"x" * 1001
    assert stat.S_IMODE((out / "bin/busybox").stat().st_mode) == 0o755
    assert sorted(p.name for p in out.rglob("*")) == ["bin", "busybox", "empty", "sh"]


def bzimage(payload: bytes, *, protocol: int = 0x20F, magic: bytes = b"HdrS") -> bytes:
    setup = bytearray(3 * 512)
    setup[0x1F1] = 2
    setup[0x202:0x208] = magic + protocol.to_bytes(2, "little")
    setup[0x248:0x250] = (16).to_bytes(4, "little") + len(payload).to_bytes(4, "little")
    return bytes(setup) + bytes(16) + payload + b"behind it"


ELF = b"\x7fELF" + bytes(100)
PACKED = {"xz": lzma.compress(ELF) + b"size", "gzip": gzip.compress(ELF)}


@pytest.mark.parametrize("name", PACKED)
def test_the_kernel_inside_an_image_is_found_and_unpacked(tmp_path: Path, name: str) -> None:
    image, target = tmp_path / "vmlinuz", tmp_path / "vmlinux"
    image.write_bytes(bzimage(PACKED[name]))
    assert find_payload(image.read_bytes())[0] == name
    asyncio.run(unpack_kernel(image, target))
    assert target.read_bytes() == ELF


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (b"MZ", "no bzImage"),
        (bzimage(PACKED["xz"], magic=b"NOPE"), "no bzImage"),
        (bzimage(PACKED["xz"], protocol=0x203), "too old"),
        (bzimage(b"what is this"), "unknown way"),
        (bzimage(PACKED["gzip"][:20]), "its end is missing"),
        (bzimage(PACKED["xz"][:8] + b"xxxxxxxxxxxxx"), "cannot be unpacked"),
        (bzimage(gzip.compress(b"something else")), "no kernel"),
    ],
)
def test_what_is_no_kernel_is_refused(tmp_path: Path, image: bytes, says: str) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(image)
    with pytest.raises(BuildFailedError) as refused:
        asyncio.run(unpack_kernel(path, tmp_path / "vmlinux"))
    assert says in refused.value.message


def plan() -> DiskPlan:
    return DiskPlan("x", "X", "root", "quiet", size_bytes=GIB, esp_bytes=64 * MIB)


def test_partitions_are_aligned_do_not_overlap_and_leave_room_for_the_second_table() -> None:
    made = plan()
    assert made.esp_offset == MIB
    assert made.root_offset == 65 * MIB
    assert made.root_offset + made.root_bytes == GIB - MIB
    assert partition_script(made).splitlines()[2].endswith("attrs=LegacyBIOSBootable")
    assert partition_script(made) == partition_script(plan())


def test_ids_are_fixed_and_differ_by_part_and_by_image() -> None:
    names = [plan_of(recipe).id_of(part) for recipe in SUITES for part in ("disk", "root", "esp")]
    assert len(set(names)) == len(names)
    assert all(uuid.UUID(name).version == 5 for name in names)


def test_the_file_system_is_written_in_place_and_initialised_now() -> None:
    argv = filesystem_argv(plan(), Path("/r"), Path("/d"))
    assert argv[-4:] == ["-d", "/r", "/d", f"{(GIB - 66 * MIB) // 1024}k"]
    assert f"offset={65 * MIB},lazy_itable_init=0" in argv[argv.index("-E") + 1]


def test_the_bootstrap_is_alone_dies_with_the_daemon_and_takes_the_hosts_mirrors() -> None:
    run = Bootstrap(
        suite=SUITES["debian-13"],
        target=Path("/w/rootfs"),
        overlay=Path("/w/over lay"),
        log=Path("/w/log"),
        sources=["deb http://m.test/debian trixie main"],
        settings=['Acquire::Check-Date "false";'],
    )
    argv = bootstrap_argv(run)
    assert argv[:10] == [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
    ]
    assert argv[-3:] == ["trixie", "/w/rootfs", "deb http://m.test/debian trixie main"]
    assert "--essential-hook=sync-in '/w/over lay' /" in argv
    assert '--aptopt=Acquire::Check-Date "false";' in argv


def test_progress_grows_with_each_package_and_never_says_all() -> None:
    log = "0 upgraded, 2 newly installed, 0 to remove\n"
    seen = [progress_of("", 2), progress_of(log, 2)]
    for line in ("Get:1 http://m.test a\n", "Unpacking a (1)\n", "Setting up a (1)\n") * 2:
        log += line
        seen.append(progress_of(log, 2))
    assert [percent for percent, _ in seen] == [0, 0, 16, 33, 50, 66, 83, 99]
    assert seen[4] == (50, "setting up a")

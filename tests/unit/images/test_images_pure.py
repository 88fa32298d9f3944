"""Checksums, the catalogue, the command of the conversion."""

import re
from urllib.parse import urlsplit

import pytest

from lodge.base.errors import LodgeError
from lodge.base.names import check_name
from lodge.drivers.builder.registry import RECIPES
from lodge.drivers.storage.formats.facts import DiskFacts
from lodge.model.image import CatalogueEntry, ImageFormat
from lodge.services.images.catalogue import catalogue, find_entry
from lodge.services.images.checksum import Checksum, find_checksum
from lodge.services.images.conversion import ConversionLimits, convert_argv

A, B, LONG = "a" * 64, "B" * 64, "c" * 128
SIGNED = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

SHA256 (disk.img) = {A}
-----BEGIN PGP SIGNATURE-----
iQIz
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A}  other.img\n{B}  disk.img\n", Checksum("sha256", "b" * 64)),
        (f"{A} *other.img\n{LONG} *disk.img\n", Checksum("sha512", LONG)),
        (f"# disk.img: 5 bytes\nSHA256 (disk.img) = {A}\n", Checksum("sha256", A)),
        (f"{A}  ./x86_64/disk.img\n{B}  b\n", Checksum("sha256", A)),
        (f"{LONG}\n", Checksum("sha512", LONG)),
        (f"{A}  disk-2026-01-01.img\n", Checksum("sha256", A)),
        (SIGNED, Checksum("sha256", A)),
    ],
    ids=["coreutils", "binary", "bsd", "folder", "bare", "dated name", "signed"],
)
def test_published_checksums_are_read(text: str, expected: Checksum) -> None:
    assert find_checksum(text, "disk.img") == expected


@pytest.mark.parametrize(
    "text", ["", "<html>", f"{A}  one\n{B}  two\n", "d41d8cd98f00b204e9800998ecf8427e  disk.img\n"]
)
def test_a_list_without_the_file_is_refused(text: str) -> None:
    with pytest.raises(LodgeError) as refused:
        find_checksum(text, "disk.img")
    assert refused.value.code == "image_checksum_missing"


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry.name)
def test_every_entry_of_the_catalogue_can_be_had_and_checked(entry: CatalogueEntry) -> None:
    check_name(entry.name, what="image alias")
    assert entry.description
    assert entry.os
    assert entry.default_user
    if entry.recipe is not None:
        assert entry.recipe in RECIPES
        assert entry.url is None
        return
    assert entry.url is not None
    address = urlsplit(entry.url)
    assert address.scheme == "https"
    assert re.fullmatch(r".+\.(qcow2|img)", address.path)
    assert (entry.size_bytes or 0) > 10_000_000
    checks = [entry.sha256, entry.sha512, entry.checksum_url]
    assert sum(check is not None for check in checks) == 1
    if entry.checksum_url is not None:
        assert urlsplit(entry.checksum_url).scheme == "https"
        assert urlsplit(entry.checksum_url).hostname == address.hostname
    assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)


def test_the_catalogue_names_each_image_once_and_every_recipe() -> None:
    names = [entry.name for entry in catalogue()]
    assert len(names) == len(set(names))
    assert {entry.recipe for entry in catalogue()} - {None} == set(RECIPES)
    assert find_entry("debian-12") is not None
    assert find_entry("windows-95") is None


def test_the_converter_gives_up_every_right_before_it_reads_a_byte() -> None:
    facts = DiskFacts(ImageFormat.VMDK, 1 << 30, 1 << 20)
    argv = convert_argv(facts, ConversionLimits(memory_bytes=1 << 30, time_s=60))
    assert argv == [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *("unshare", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--"),
        *("setpriv", "--reuid", "599998", "--regid", "599998", "--clear-groups"),
        *("--no-new-privs", "--pdeathsig", "KILL", "--"),
        *("prlimit", "--as=1073741824", "--fsize=2164260864", "--cpu=60", "--core=0"),
        *("--nofile=64", "--"),
        *("qemu-img", "convert", "-f", "vmdk", "-O", "qcow2"),
        *("-o", "cluster_size=65536,compat=1.1,lazy_refcounts=off", "source", "disk.qcow2"),
    ]

"""What is taken out of a Debian tree, and how links cannot lead a build astray."""

import os
from pathlib import Path

import pytest

from lodge.base.errors import LodgeError
from lodge.base.world import RealWorld
from lodge.drivers.builder.debian.options import ALWAYS_MASKED
from lodge.drivers.builder.debian.overlay import finish_tree, lay_overlay
from lodge.drivers.builder.registry import BUILDERS, RECIPES, load_builder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "root"
    for name in (
        "etc/apt/apt.conf.d",
        "etc/dpkg/dpkg.cfg.d",
        "etc/ssh",
        "var/lib/apt/lists",
        "var/lib/systemd",
        "var/log/apt",
        "etc/cloud",
    ):
        (tree / name).mkdir(parents=True)
    return tree


def test_no_identity_and_no_secret_is_left_in_a_tree(root: Path) -> None:
    for name in (
        "etc/ssh/ssh_host_ed25519_key",
        "etc/ssh/ssh_host_ed25519_key.pub",
        "var/lib/systemd/random-seed",
        "etc/apt/apt.conf.d/99mmdebstrap",
        "etc/shadow-",
        "var/log/dpkg.log",
        "var/lib/apt/lists/mirror_list",
    ):
        (root / name).write_text("secret")
    (root / "etc/machine-id").write_text("0123456789abcdef\n")
    (root / "etc/apt/sources.list").write_text("deb https://me:hush@m.test/debian bookworm main\n")
    finish_tree(root, ['Acquire::http::Proxy "http://p.test";', 'Acquire::Check-Date "false";'])
    left = "".join(p.read_text() for p in root.rglob("*") if p.is_file() and not p.is_symlink())
    assert "secret" not in left
    assert "hush" not in left
    assert "p.test" not in left
    assert (root / "etc/machine-id").read_text() == ""
    assert (root / "etc/apt/apt.conf.d/90mirror").read_text() == 'Acquire::Check-Date "false";\n'
    assert "x-systemd.growfs" in (root / "etc/fstab").read_text()


def test_a_link_that_leads_out_of_the_tree_is_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("hostname", "resolv.conf"):
        (outside / name).write_text("of the host")
        (root / "etc" / name).symlink_to(outside / name)
    finish_tree(root, [])
    assert (outside / "hostname").read_text() == (outside / "resolv.conf").read_text()
    assert (outside / "hostname").read_text() == "of the host"
    os.rename(root / "etc", tmp_path / "etc")
    (root / "etc").symlink_to(tmp_path / "etc")
    with pytest.raises(LodgeError) as refused:
        finish_tree(root, [])
    assert refused.value.code == "image_build_failed"


def test_the_overlay_masks_what_would_wake_all_guests_at_once(tmp_path: Path) -> None:
    lay_overlay(tmp_path)
    units = tmp_path / "etc/systemd/system"
    assert {p.name for p in units.iterdir() if p.is_symlink()} == set(ALWAYS_MASKED)
    hook = tmp_path / "etc/kernel/postinst.d/zz-lodge-boot"
    assert hook.stat().st_mode & 0o111
    assert "/run/systemd/system" in hook.read_text(), "never touches disks while being built"
    assert "NoCloud" in (tmp_path / "etc/cloud/cloud.cfg.d/90_lodge.cfg").read_text()


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_has_a_builder_that_knows_it(recipe: str) -> None:
    builder = load_builder(recipe, RealWorld())
    assert recipe in builder.recipes
    assert builder.name == RECIPES[recipe]
    assert builder.name in BUILDERS


def test_an_unknown_recipe_is_refused_with_those_there_are() -> None:
    with pytest.raises(LodgeError) as refused:
        load_builder("gentoo", RealWorld())
    assert refused.value.code == "recipe_not_found"
    assert "debian-12" in refused.value.message

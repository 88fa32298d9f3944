"""What stands in a seed, and what does not change on the way into it."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from lodge.model.instance import CloudInitSpec
from lodge.services.seeds.iso import iso_image
from lodge.services.seeds.seed import SeedNic, render_seed, write_seed

GOLDEN = Path(__file__).parents[2] / "golden" / "seeds"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAjHaZwq2EXngswuTOyeriCRbf8Q5X6pQpKSj3I5A8mt ann@home"
ETH0 = SeedNic("eth0", "52:54:00:00:00:01")
ETH1 = SeedNic("eth1", "52:54:00:00:00:02", is_ipv6_leased=True)

CASES = {
    "plain": (CloudInitSpec(), [ETH0]),
    "no-network": (CloudInitSpec(), []),
    "keys-and-two-nics": (CloudInitSpec(ssh_keys=(KEY, f" {KEY}\n")), [ETH0, ETH1]),
    "everything": (
        CloudInitSpec(
            user_data="#cloud-config\n# kept as it is:   spaces, comments\nruncmd: [ls]\n",
            vendor_data="#cloud-config\npackages: [less]\n",
            network_config="version: 2\nethernets: {}\n",
            ssh_keys=(KEY,),
        ),
        [ETH0],
    ),
    "script": (CloudInitSpec(user_data="#!/bin/sh\necho hi\n"), [ETH0]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_seed_is_what_was_agreed(name: str) -> None:
    cloud_init, nics = CASES[name]
    seed = render_seed("i-0123", "web1", cloud_init, nics)
    found = "".join(f"=== {file}\n{data.decode()}" for file, data in seed.files().items())
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("LODGE_GOLDEN") == "write":
        golden.write_text(found)
    assert found == golden.read_text()


def test_a_very_long_key_stays_on_one_line() -> None:
    key = "ssh-rsa " + "A" * 4000
    meta = render_seed("i", "web1", CloudInitSpec(ssh_keys=(key,)), []).meta_data
    assert f"- {key}\n" in meta
    assert yaml.safe_load(meta)["public-keys"] == [key]


def test_the_image_has_the_label_and_the_names_that_cloud_init_looks_for(tmp_path: Path) -> None:
    disc = tmp_path / "seed.iso"
    disc.write_bytes(iso_image({"meta-data": b"instance-id: i\n", "user-data": b"x" * 5000}))
    label = subprocess.run(
        ["blkid", "-o", "value", "-s", "LABEL", disc], capture_output=True, text=True, check=True
    )
    assert label.stdout == "cidata\n"
    folder = tmp_path / "out"
    subprocess.run(
        ["xorriso", "-osirrox", "on", "-indev", disc, "-extract", "/", folder],
        capture_output=True,
        check=True,
    )
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "meta-data": b"instance-id: i\n",
        "user-data": b"x" * 5000,
    }


@pytest.mark.root
def test_a_seed_belongs_to_one_user_and_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "seed.iso"
    for name in ("web1", "web2"):
        write_seed(
            path,
            instance_id="i",
            hostname=name,
            cloud_init=CloudInitSpec(),
            nics=[ETH0],
            uid=600_001,
        )
    facts = path.stat()
    assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (600_001, 0o400)
    assert b"local-hostname: web2" in path.read_bytes()
    assert list(tmp_path.iterdir()) == [path]

"""Debian is built from packages; the real cloud-init in it does what the seed says.

Building and booting a distribution under software emulation takes minutes.
"""

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from bare_guest import Guest, boot, overlay
from built_images import built_image

from lodge.base.world import RealWorld
from lodge.drivers.builder.debian.driver import DebianBuilder
from lodge.drivers.builder.debian.options import plan_of
from lodge.model.instance import CloudInitSpec
from lodge.services.seeds.check import check_cloud_init
from lodge.services.seeds.seed import SeedNic, write_seed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

RECIPE = os.environ.get("LODGE_TEST_DEBIAN", "debian-12")
MARK = "CLOUD-INIT-RAN"
USER_DATA = """#cloud-config
users:
  - default
  - name: ann
    shell: /bin/bash
    sudo: ALL=(ALL) NOPASSWD:ALL
    ssh_authorized_keys: ["{key}"]
write_files:
  - path: /etc/lodge-test
    permissions: "0640"
    content: |
      two
      lines
runcmd:
  - [sh, -c, "echo {mark} >/dev/ttyS0"]
"""


@pytest.fixture(scope="module")
def debian() -> Path:
    return built_image(RECIPE)


def make_seed(folder: Path) -> tuple[Path, str]:
    """A seed with a key for a user of its own, and one for the default user."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / "key"], check=True
    )
    public = (folder / "key.pub").read_text().strip()
    spec = CloudInitSpec(
        user_data=USER_DATA.format(key=public, mark=MARK), ssh_keys=(f"{public} beside",)
    )
    assert check_cloud_init(spec) == ()
    nics = [SeedNic("lan0", "52:54:00:00:00:01")]
    seed = folder / "seed.iso"
    write_seed(seed, instance_id="i-1", hostname="web1", cloud_init=spec, nics=nics, uid=0)
    return seed, public


def shell(guest: Guest) -> Callable[[str], str]:
    return lambda command: guest.run("/bin/sh", "-c", command)


def test_cloud_init_does_all_that_the_seed_says(debian: Path, tmp_path: Path) -> None:
    seed, public = make_seed(tmp_path)
    disk = overlay(debian / "disk.qcow2", tmp_path / "disk.qcow2", "8G")
    line = plan_of(RECIPE).command_line
    with boot(
        tmp_path, "direct", debian, command_line=line, disk=disk, seed=seed, memory_mib=1024
    ) as guest:
        guest.wait_for(MARK)
        run = shell(guest)
        run("cloud-init status --wait")
        status = json.loads(run("cloud-init status --format json"))
        assert (status["status"], status["errors"]) == ("done", [])
        assert "NoCloud" in status["detail"]
        assert run("hostname; getent hosts web1").split()[0] == "web1"
        assert run("stat -c %a /etc/lodge-test; cat /etc/lodge-test") == "640\ntwo\nlines\n"
        assert public in run("cat /home/ann/.ssh/authorized_keys")
        assert f"{public} beside" in run("cat /home/debian/.ssh/authorized_keys")
        assert run("sudo -u ann sudo -n id -u") == "0\n"
        assert "10.0.2.15" in run("ip -4 addr show dev lan0")
        assert int(run("df --output=size -BG / | tail -1").strip(" G\n")) >= 7, "the root grew"
        assert run("systemctl --failed --plain --no-legend") == ""
        assert len(run("cat /etc/machine-id").strip()) == 32
        keys = run("ls /etc/ssh/*.pub").split()
        assert [Path(key).name for key in keys] == [
            "ssh_host_ecdsa_key.pub",
            "ssh_host_ed25519_key.pub",
        ]
        answer = subprocess.run(
            [
                *("ssh", "-q", "-i", tmp_path / "key", "-p", str(guest.ssh_port)),
                *("-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"),
                *("-oConnectTimeout=60", "ann@127.0.0.1", "sudo hostname"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.stdout == "web1\n", answer


@pytest.mark.parametrize("mode", ["bios", "uefi"])
def test_the_same_disk_boots_by_its_own_loader(debian: Path, tmp_path: Path, mode: str) -> None:
    disk = overlay(debian / "disk.qcow2", tmp_path / "disk.qcow2")
    with boot(tmp_path, mode, debian, disk=disk, memory_mib=1024) as guest:
        guest.wait_for("login:")
        has_efi = shell(guest)("test -d /sys/firmware/efi && echo yes || echo no")
        assert has_efi == ("yes\n" if mode == "uefi" else "no\n")


def test_a_new_kernel_reaches_the_loader_of_the_running_disk(debian: Path, tmp_path: Path) -> None:
    disk = overlay(debian / "disk.qcow2", tmp_path / "disk.qcow2")
    with boot(tmp_path, "bios", debian, disk=disk, memory_mib=1024) as guest:
        guest.wait_for("login:")
        run = shell(guest)
        run("echo changed >> /boot/$(ls /boot | grep initrd | tail -1)")
        assert run("/etc/kernel/postinst.d/zz-lodge-boot 2>&1; echo $?") == "0\n"
        check = "mount LABEL=LODGE-ESP /mnt && cmp /mnt/initrd.img /boot/initrd.img-* && echo same"
        assert run(check) == "same\n"


def test_no_secret_and_no_identity_is_in_the_image(debian: Path, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", debian / "disk.qcow2", raw], check=True)
    root = f"{raw}?offset={plan_of(RECIPE).root_offset}"

    def debugfs(command: str) -> str:
        ran = subprocess.run(["debugfs", "-R", command, root], capture_output=True, check=True)
        return ran.stdout.decode(errors="replace")

    assert debugfs("cat /etc/machine-id") == ""
    assert "ssh_host" not in debugfs("ls -p /etc/ssh")
    accounts = [line.split(":") for line in debugfs("cat /etc/shadow").splitlines()]
    assert accounts
    assert all(fields[1] in ("*", "!", "!*") for fields in accounts), "nobody has a password"
    assert "@" not in debugfs("cat /etc/apt/sources.list")
    assert "random-seed" not in debugfs("ls -p /var/lib/systemd")


def test_a_cancelled_build_leaves_no_scratch_and_no_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        percents: list[int] = []
        builder = DebianBuilder(RealWorld())
        build = asyncio.create_task(
            builder.build(RECIPE, tmp_path, lambda done, _total, _note: percents.append(done))
        )
        while not percents or percents[-1] < 10:
            assert not build.done(), build
            await asyncio.sleep(0.1)
        build.cancel()
        with pytest.raises(asyncio.CancelledError):
            await build

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines if str(tmp_path).encode() in line]

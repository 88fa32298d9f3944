"""The tiny guest is built from packages and comes up in every way a guest can be booted."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from bare_guest import boot, overlay
from built_images import built_image

from lodge.base.world import RealWorld
from lodge.drivers.builder.tiny.driver import TinyBuilder
from lodge.drivers.builder.tiny.options import PLAN, RAM_COMMAND_LINE
from lodge.model.instance import CloudInitSpec
from lodge.services.seeds.seed import SeedNic, write_seed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def tiny() -> Path:
    return built_image("tiny")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def ssh(key: Path, port: int, user: str, command: str) -> str:
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=20")
    argv = ["ssh", "-q", "-i", key, "-p", str(port), *(f"-o{option}" for option in options)]
    for _ in range(20):
        ran = subprocess.run(
            [*argv, f"{user}@127.0.0.1", command], capture_output=True, text=True, check=False
        )
        if ran.returncode != 255:
            return ran.stdout
    raise AssertionError(f"no login as {user}: {ran.stderr}")


@pytest.mark.parametrize("mode", ["direct", "bios", "uefi", "microvm"])
def test_the_disk_boots_in_every_way(tiny: Path, tmp_path: Path, mode: str) -> None:
    disk = overlay(tiny / "disk.qcow2", tmp_path / "disk.qcow2")
    with boot(tmp_path, mode, tiny, command_line=PLAN.command_line, disk=disk) as guest:
        assert "GUEST UP tiny" in guest.wait_for("GUEST UP")
        assert "/dev/vda2 on / type ext4" in guest.run("/bin/mount")


def test_in_memory_it_takes_name_key_and_script_from_its_seed_and_ticks(
    tiny: Path, tmp_path: Path, key: Path
) -> None:
    seed = tmp_path / "seed.iso"
    public = key.with_suffix(".pub").read_text()
    write_seed(
        seed,
        instance_id="i-1",
        hostname="web1",
        cloud_init=CloudInitSpec(
            user_data="#!/bin/sh\necho FROM-THE-SEED >/dev/ttyS0\n", ssh_keys=(public,)
        ),
        nics=[SeedNic("eth0", "52:54:00:00:00:01")],
        uid=0,
    )
    line = f"{RAM_COMMAND_LINE} ttick=0.05 tload=1"
    with boot(tmp_path / "g", "direct", tiny, command_line=line, seed=seed) as guest:
        guest.wait_for("GUEST UP web1")
        guest.wait_for("FROM-THE-SEED")
        serial = guest.wait_for("CHECK 40 ok")
        assert "BAD" not in serial
        assert "TICK 1 " in serial
        assert ssh(key, guest.ssh_port, "root", "hostname") == "web1\n"
        assert "10.0.2.15" in guest.run("/bin/ip", "-4", "addr", "show", "dev", "eth0")
        guest.agent("guest-ping")


@pytest.mark.parametrize("way", ["agent", "button"])
def test_it_switches_itself_off_when_asked(tiny: Path, tmp_path: Path, way: str) -> None:
    with boot(tmp_path, "direct", tiny, command_line=RAM_COMMAND_LINE) as guest:
        guest.wait_for("GUEST UP")
        guest.agent("guest-ping")
        if way == "agent":
            guest.tell("guest-shutdown", mode="powerdown")
        else:
            guest.press_power_button()
        guest.process.wait(60)


def test_two_builds_give_the_same_guest(tiny: Path, tmp_path: Path) -> None:
    asyncio.run(TinyBuilder(RealWorld()).build("tiny", tmp_path, lambda *_told: None))
    assert (tmp_path / "initrd").read_bytes() == (tiny / "initrd").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "disk.qcow2",
        "initrd",
        "vmlinux",
        "vmlinuz",
    ]


def test_a_cancelled_build_leaves_no_scratch_and_no_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        begun = asyncio.Event()
        builder = TinyBuilder(RealWorld())
        build = asyncio.create_task(builder.build("tiny", tmp_path, lambda *_told: begun.set()))
        await begun.wait()
        await asyncio.sleep(0.3)
        build.cancel()
        with pytest.raises(asyncio.CancelledError):
            await build

    asyncio.run(scenario())
    assert not (tmp_path / "scratch").exists()
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines if str(tmp_path).encode() in line]

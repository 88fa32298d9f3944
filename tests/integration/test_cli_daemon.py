"""The real command against the real daemon with the fake driver, in a network of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

COMMAND = [sys.executable, "-c", "from lodge.cli.main import entry; entry()"]
DAEMON = [sys.executable, "-m", "lodge.daemon.main"]


@dataclass
class House:
    """A daemon in a folder, and the command that talks to it."""

    folder: Path
    daemon: subprocess.Popen[bytes] | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*COMMAND, *words],
            input=stdin,
            capture_output=True,
            env=self.environment,
            timeout=60,
            check=False,
        )

    def good(self, *words: str, stdin: bytes = b"") -> str:
        ran = self.run(*words, stdin=stdin)
        assert ran.returncode == 0, ran.stderr.decode()
        return ran.stdout.decode()

    def start(self) -> None:
        options = {"state-dir": "state", "run-dir": "run", "config-file": "lodge.toml"}
        words = [
            word
            for name, place in options.items()
            for word in (f"--{name}", str(self.folder / place))
        ]
        with (self.folder / "log").open("ab") as log:
            self.daemon = subprocess.Popen(
                ["unshare", "--net", *DAEMON, *words, "--driver", "fake"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 40
        while self.run("version").returncode != 0:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            assert self.daemon.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait(20)
            self.daemon = None


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.environment = {
        **os.environ,
        "LODGE_SOCKET": str(tmp_path / "run" / "lodged.sock"),
        "HOME": str(tmp_path),
    }
    made.start()
    try:
        yield made
    finally:
        made.kill()


def image(house: House, tmp_path: Path) -> None:
    disk = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "64M"], check=True)
    house.good("image", "import", str(disk), "--alias", "small")


def test_a_life_of_an_instance_from_the_command_line(house: House, tmp_path: Path) -> None:
    image(house, tmp_path)
    assert "web1 is running" in house.good("launch", "small", "web1", "--memory", "256MiB")
    listed = house.good("list", "--columns", "name,state,memory", "--format", "csv")
    assert listed == "name,state,memory\nweb1,running,256\n"
    assert house.good("exec", "web1", "--", "cat", stdin=b"there and back") == "there and back"
    assert house.run("exec", "web1", "--", "false").returncode == 1
    house.good("push", "-", "web1:/tmp/x", stdin=b"kept")
    assert house.good("pull", "web1:/tmp/x", "-") == "kept"
    assert house.good("pause", "web1") == "web1: paused\n"
    assert house.run("start", "web1").returncode == 4
    assert house.good("resume", "web1") == "web1: running\n"
    assert "shut down" in house.good("shutdown", "web1")
    house.good("set", "web1", "cpus=3", "protected=yes")
    assert house.good("list", "--columns", "cpus", "--format", "csv") == "cpus\n3\n"
    assert house.run("delete", "web1", "--yes").returncode == 4
    house.good("set", "web1", "protected=no")
    house.good("rename", "web1", "shop")
    assert house.good("delete", "shop", "--yes") == "shop: deleted\n"
    assert house.run("show", "shop").returncode == 3
    told = house.good("events", "--format", "csv")
    for past in ("created", "changed", "renamed", "deleted"):
        assert f"instance.{past}" in told
    assert "network.created" in told


def test_every_list_and_check_answers_in_every_form(house: House) -> None:
    groups = ("image", "volume", "pool", "network", "profile", "task", "token", "config", "remote")
    for words in (
        ["list"],
        *([group, "list"] for group in groups),
        ["image", "catalogue"],
        ["events"],
        ["audit"],
        ["host", "check"],
    ):
        for form in ("table", "json", "yaml", "csv"):
            ran = house.run(*words, "--format", form, "--columns", "all")
            assert ran.returncode in (0, 1 if words == ["host", "check"] else 0), ran.stderr
    for words in (
        ["host", "show"],
        ["pool", "show", "default"],
        ["network", "show", "default"],
        ["profile", "show", "default"],
    ):
        house.good(*words)


def test_a_command_that_waits_outlives_the_daemon(house: House, tmp_path: Path) -> None:
    image(house, tmp_path)
    house.good("launch", "small", "web1")
    with subprocess.Popen(
        [*COMMAND, "events", "--follow", "--since", "0"],
        env=house.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as following:
        assert following.stdout is not None
        lines = iter(following.stdout.readline, b"")
        assert any(b"instance.started" in line for line in lines)
        house.kill()
        house.start()
        house.good("stop", "web1")
        assert any(b"instance.stopped" in line for line in lines)
        following.terminate()


def test_keys_that_reach_nobody_are_warned_of(house: House, tmp_path: Path) -> None:
    image(house, tmp_path)
    (tmp_path / "user.yaml").write_text("#cloud-config\nusers: [{name: admin}]\n")
    (tmp_path / "key.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJjNAVv/RMbaIjGZ9U2jJ/4jY7yDPuzgrjsXkqu5WCDC me\n"
    )
    seed = ("--cloud-init", str(tmp_path / "user.yaml"), "--ssh-key", str(tmp_path / "key.pub"))
    ran = house.run("launch", "small", "web1", "--memory", "256MiB", *seed)
    assert ran.returncode == 0
    assert "warning: cloud_init.ssh_keys" in str(ran.stderr)
    listed = house.good("volume", "list", "--columns", "owner,image", "--format", "csv")
    assert listed == "owner,image\nweb1,small\n"


def test_the_host_tells_where_its_api_is_and_what_the_default_profile_needs_stays(
    house: House,
) -> None:
    shown = house.good("host", "show", "--format", "json")
    assert json.loads(shown)["api_urls"][0].startswith("https://")
    assert json.loads(shown)["certificate_fingerprint"]
    for noun in ("network", "pool"):
        ran = house.run(noun, "delete", "default")
        assert ran.returncode == 4
        assert "profiles/default" in str(ran.stderr)
    house.good("profile", "set", "default", "networks=", "pool=")
    assert house.good("network", "delete", "default") == "default: deleted\n"


def test_a_file_that_is_no_disk_is_refused_by_its_name(house: House, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("a note\n")
    ran = house.run("image", "import", str(tmp_path / "note.txt"))
    assert ran.returncode == 2
    assert f"{tmp_path}/note.txt has 7 bytes" in ran.stderr.decode()

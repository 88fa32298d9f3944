"""What a process that was taken over by its guest finds on a real host, and what others find."""

import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulated_host import SimulatedHost
from stock import stock

from lodge.system.identity import FIRST_GUEST_UID, GUEST_GID

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(300)]

SECRET = "s3cr3t-w0rd-of-a-person"


@pytest.fixture(scope="module")
def host() -> Iterator[SimulatedHost]:
    simulated = SimulatedHost()
    document = simulated.folder / "user-data"
    document.write_text(f"#cloud-config\npassword: {SECRET}\n")
    try:
        stock(simulated.state, "tiny")
        simulated.start()
        for name in ("one", "two"):
            simulated.lodge(
                "launch", "tiny", name, "--memory", "160MiB", "--cloud-init", document,
                *(("--firmware", "uefi") if name == "two" else ()),
            )  # fmt: skip
        simulated.lodge("screenshot", "one", "-o", simulated.folder / "screen.png")
        simulated.lodge("suspend", "two")
        yield simulated
    finally:
        simulated.close()


def shown(host: SimulatedHost, name: str) -> dict[str, Any]:
    found: dict[str, Any] = host.json("show", name)
    return found


def pid_of(host: SimulatedHost, name: str) -> int:
    return int(host.run("pgrep", "-f", f"guest={name},").stdout.split()[0])


def uid_of(host: SimulatedHost, name: str) -> int:
    folder = host.state / "instances" / shown(host, name)["id"]
    return folder.stat().st_gid


def as_guest(host: SimulatedHost, name: str, *command: str | Path) -> tuple[int, str]:
    """Run a command with the rights of a VM's process, in its network."""
    uid = str(uid_of(host, name))
    ended = host.run(
        *("nsenter", "-t", str(pid_of(host, name)), "--net", "--"),
        *("setpriv", "--reuid", uid, "--regid", str(GUEST_GID), "--groups", uid),
        *("--no-new-privs", "--bounding-set", "-all", "--"),
        *command,
        check=False,
    )
    return ended.returncode, (ended.stdout + ended.stderr).decode(errors="replace")


def entries(host: SimulatedHost) -> list[tuple[str, int, int, int]]:
    """Every name below the state and run folders: path, mode, owner, group."""
    listed = host.run("find", host.state, host.run_dir, "-printf", "%m %U %G %y %p\\n")
    found = []
    for line in listed.stdout.decode().splitlines():
        mode, uid, gid, kind, path = line.split(" ", 4)
        assert kind in "dfs", line  # no links, pipes or devices
        found.append((path, int(mode, 8), int(uid), int(gid)))
    return found


def test_nothing_of_the_state_can_be_changed_by_others_and_few_things_read(
    host: SimulatedHost,
) -> None:
    public = {"host-id", "server.crt", "lodged.pid", "dnsmasq.pid", "leases"}
    for path, mode, uid, _gid in entries(host):
        if stat.S_IMODE(mode) & 0o022 and not path.endswith(".sock"):
            raise AssertionError(f"others may write {path}")
        is_folder = mode & 0o111 and (host.folder / path).is_dir()
        if mode & 0o004 and Path(path).name not in public and not is_folder:
            raise AssertionError(f"others may read {path}")
        if uid >= FIRST_GUEST_UID:
            name = Path(path).name
            is_given = name in ("seed.iso", "serial.log", "nvram")
            assert is_given or name.endswith(("-root.qcow2", ".sock")), path


def test_a_guests_process_reaches_nothing_but_what_it_was_given(host: SimulatedHost) -> None:
    one, two = (shown(host, name)["id"] for name in ("one", "two"))
    status, _ = as_guest(host, "one", "head", "-c1", host.state / "instances" / one / "seed.iso")
    assert status == 0
    for path in (
        host.state / "lodge.db",
        host.state / "backups",
        host.state / "tls/server.key",
        host.state / "images",
        host.state / "pools/default",
        host.state / "instances",
        host.state / "instances" / two / "seed.iso",
        host.state / "instances" / two / "nvram",
        host.state / "instances" / two / "memory.saved",
        host.state / "pools/default" / f"{two}-root.qcow2",
        host.run_dir,
    ):
        status, said = as_guest(
            host, "one", "sh", "-c", f"[ -d {path} ] && ls {path} || cat {path}"
        )
        assert (status, "Permission denied" in said) == (1, True), (path, said[:200])
    for folder in (host.state / "instances" / one, host.run_dir / "instances" / one):
        for command in (["touch", folder / "planted"], ["mv", folder / "serial.log", "/tmp/x"]):
            status, said = as_guest(host, "one", *command)
            assert (status != 0, "Permission denied" in said) == (True, True), (command, said)


def test_a_guests_process_reaches_no_daemon_and_no_network(host: SimulatedHost) -> None:
    script = (
        "import socket,sys\n"
        "kind, *place = sys.argv[1:]\n"
        "s = socket.socket(getattr(socket, kind))\n"
        "s.connect(place[0] if kind == 'AF_UNIX' else (place[0], int(place[1])))\n"
    )
    for words, why in (
        (("AF_UNIX", str(host.run_dir / "lodged.sock")), "PermissionError"),
        (("AF_INET", "127.0.0.1", "8443"), "Network is unreachable"),
        (("AF_INET", "169.254.169.254", "80"), "Network is unreachable"),
    ):
        status, said = as_guest(host, "one", sys.executable, "-c", script, *words)
        assert (status, why in said) == (1, True), said


def test_a_secret_is_only_where_it_must_be(host: SimulatedHost) -> None:
    for process in host.run("pgrep", "-f", "qemu-system").stdout.split():
        command_line = Path(f"/proc/{int(process)}/cmdline").read_bytes()
        assert SECRET.encode() not in command_line
    assert SECRET not in host.log.read_text()
    assert SECRET.encode() not in host.lodge("task", "list", "--format", "json").stdout
    assert SECRET.encode() not in host.lodge("events", "--format", "json").stdout
    assert SECRET.encode() not in host.lodge("audit", "--format", "json").stdout
    holding = host.run("grep", "-rlaF", SECRET, host.state, host.run_dir).stdout.decode().split()
    kept = re.compile(
        r"(lodge\.db(-wal)?|backups/[^/]+|instances/[^/]+/(seed\.iso|memory\.saved))$"
    )
    assert [path for path in holding if not kept.search(path)] == []


def test_a_disk_whose_header_names_another_file_is_never_started(host: SimulatedHost) -> None:
    host.lodge("stop", "one")
    disk = host.state / "pools/default" / f"{shown(host, 'one')['id']}-root.qcow2"
    before = disk.read_bytes()
    try:
        host.run(
            *("qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2"),
            *("-b", host.state / "lodge.db", disk),
        )
        for verb in (["start", "one"], ["volume", "resize", disk.stem, "9GiB"]):
            refused = host.lodge(*verb, check=False)
            assert refused.returncode != 0
            assert b"another base" in refused.stderr, refused.stderr
    finally:
        disk.write_bytes(before)
    host.lodge("start", "one")

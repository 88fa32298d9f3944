"""The whole product with a real small guest: every verb, and the guest's own word for it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulated_host import SimulatedHost, wait_for
from stock import stock

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def host() -> Iterator[SimulatedHost]:
    simulated = SimulatedHost()
    try:
        stock(simulated.state, "tiny")
        simulated.start()
        yield simulated
    finally:
        simulated.close()


def launch(host: SimulatedHost, name: str, *options: str) -> None:
    host.lodge("launch", "tiny", name, "--memory", "192MiB", *options)


def instance(host: SimulatedHost, name: str) -> dict[str, Any]:
    shown: dict[str, Any] = host.json("show", name)
    return shown


def says(host: SimulatedHost, name: str, *command: str) -> str:
    return host.lodge("exec", name, "--", *command).stdout.decode().strip()


def wait_for_agent(host: SimulatedHost, name: str) -> None:
    wait_for(
        lambda: host.lodge("exec", name, "--", "true", check=False).returncode == 0,
        what=f"the agent of {name}",
    )


@pytest.fixture(scope="module")
def guest(host: SimulatedHost) -> Iterator[str]:
    launch(host, "guest")
    wait_for_agent(host, "guest")
    yield "guest"
    host.lodge("delete", "guest", "--force", "--yes")


def test_a_launched_guest_has_its_name_its_address_and_an_own_user(
    host: SimulatedHost, guest: str
) -> None:
    address = instance(host, guest)["status"]["addresses"][0]
    assert says(host, guest, "hostname") == guest
    assert address in says(host, guest, "ip", "-4", "addr", "show", "eth0")
    host.run("ping", "-c", "1", "-W", "5", address)
    found = host.run("pgrep", "-f", f"guest={guest}").stdout.split()
    status = Path(f"/proc/{int(found[0])}/status").read_text()
    uid = re.search(r"^Uid:\s+(\d+)", status, re.M)
    assert uid is not None
    assert int(uid[1]) >= 600_000
    assert re.search(r"^CapEff:\s+0+$", status, re.M)
    assert re.search(r"^Seccomp:\s+2$", status, re.M)


def test_a_command_keeps_its_status_and_its_two_outputs_apart(
    host: SimulatedHost, guest: str
) -> None:
    ran = host.lodge(
        "exec", guest, "--", "sh", "-c", "cat; echo out; echo err >&2; exit 7",
        stdin=b"typed\n", check=False,
    )  # fmt: skip
    assert ran.returncode == 7
    assert ran.stdout == b"typed\nout\n"
    assert ran.stderr == b"err\n"


def test_files_go_in_and_come_back(host: SimulatedHost, guest: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "there").write_bytes(content)
    host.lodge("push", tmp_path / "there", f"{guest}:/root/file")
    host.lodge("pull", f"{guest}:/root/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


def test_names_resolve_between_guests(host: SimulatedHost, guest: str) -> None:
    launch(host, "other")
    try:
        wait_for_agent(host, "other")
        assert "0% packet loss" in says(host, "other", "ping", "-c", "1", "-W", "5", guest)
    finally:
        host.lodge("delete", "other", "--force", "--yes")


def test_a_killed_daemon_disturbs_nobody(host: SimulatedHost, guest: str) -> None:
    status = instance(host, guest)["status"]
    up_before = float(says(host, guest, "cat", "/proc/uptime").split()[0])
    host.kill_daemon()
    host.run("ping", "-c", "1", "-W", "5", status["addresses"][0])
    host.start()
    assert instance(host, guest)["status"]["started_at"] == status["started_at"]
    assert float(says(host, guest, "cat", "/proc/uptime").split()[0]) > up_before


def test_suspend_and_start_keep_the_guests_memory(host: SimulatedHost, guest: str) -> None:
    says(host, guest, "sh", "-c", "echo kept > /tmp/in-memory")
    host.lodge("suspend", guest)
    assert instance(host, guest)["state"] == "suspended"
    host.lodge("start", guest)
    assert says(host, guest, "cat", "/tmp/in-memory") == "kept"


def test_pause_stops_the_guests_clock_and_resume_lets_it_go_on(
    host: SimulatedHost, guest: str
) -> None:
    host.lodge("pause", guest)
    refused = host.lodge("exec", guest, "--", "true", check=False)
    assert refused.returncode == 4
    assert b"required: running" in refused.stderr
    host.lodge("resume", guest)
    says(host, guest, "true")


def test_shutdown_asks_the_guest_and_start_boots_it_again(host: SimulatedHost, guest: str) -> None:
    says(host, guest, "sh", "-c", "echo lost > /tmp/in-memory")
    assert b"the guest shut down" in host.lodge("shutdown", guest).stdout
    host.lodge("set", guest, "memory=224MiB", "cpus=2")
    host.lodge("start", guest)
    wait_for_agent(host, guest)
    assert says(host, guest, "nproc") == "2"
    assert host.lodge("exec", guest, "--", "cat", "/tmp/in-memory", check=False).returncode != 0


def test_a_guest_that_switches_itself_off_stays_off(host: SimulatedHost) -> None:
    launch(host, "leaver")
    wait_for_agent(host, "leaver")
    host.lodge("exec", "leaver", "--", "poweroff", "-f", check=False)
    wait_for(lambda: instance(host, "leaver")["state"] == "stopped", what="the guest's end")
    host.lodge("delete", "leaver", "--yes")


def test_a_killed_qemu_is_started_again(host: SimulatedHost) -> None:
    launch(host, "victim")
    pid = host.run("pgrep", "-f", "guest=victim").stdout.split()[0].decode()
    host.run("kill", "-9", pid)
    wait_for(lambda: instance(host, "victim")["status"]["crash_count"] == 1, what="the crash")
    wait_for(lambda: instance(host, "victim")["state"] == "running", what="the restart")
    assert host.run("pgrep", "-f", "guest=victim").stdout.split()[0].decode() != pid
    host.lodge("delete", "victim", "--force", "--yes")


def test_a_screenshot_is_a_picture_and_the_console_log_tells_of_the_boot(
    host: SimulatedHost, guest: str, tmp_path: Path
) -> None:
    host.lodge("screenshot", guest, "-o", tmp_path / "screen.png")
    assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")
    assert b"GUEST UP" in host.lodge("logs", guest).stdout


def test_a_microvm_runs_too(host: SimulatedHost) -> None:
    launch(host, "micro", "--machine", "microvm")
    wait_for_agent(host, "micro")
    host.lodge("delete", "micro", "--force", "--yes")


def test_a_deleted_guest_leaves_nothing(host: SimulatedHost) -> None:
    before = leftovers(host)
    launch(host, "gone")
    host.lodge("delete", "gone", "--force", "--yes")
    assert leftovers(host) == before


def leftovers(host: SimulatedHost) -> set[str]:
    files = host.run(
        "find", host.state / "instances", host.state / "pools", "/run/lodge/instances"
    ).stdout.decode()
    groups = host.run("find", "/sys/fs/cgroup", "-path", f"*{host.name}*", "-type", "d").stdout
    qemus = host.run("pgrep", "-fc", "guest=gone", check=False).stdout.decode()
    return {*files.split(), *groups.decode().split(), f"running: {qemus.strip()}"}


def test_a_rebooted_host_brings_back_what_starts_at_boot(host: SimulatedHost) -> None:
    launch(host, "early", "--start-at-boot")
    launch(host, "late")
    host.reboot()
    host.start()
    wait_for(lambda: instance(host, "early")["state"] == "running", what="the boot of early")
    assert instance(host, "late")["state"] == "stopped"
    host.lodge("delete", "early", "late", "--force", "--yes")

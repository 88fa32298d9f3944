"""The main job, from packages to a page: a real Debian 12 server that outlives its manager."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulated_host import SimulatedHost, wait_for
from stock import stock

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(1500)]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def host() -> Iterator[SimulatedHost]:
    simulated = SimulatedHost()
    try:
        stock(simulated.state, "debian-12")
        simulated.start()
        yield simulated
    finally:
        simulated.close()


def answers(host: SimulatedHost, address: str) -> bool:
    script = ROOT / "packaging" / "answers.py"
    return host.run("python3", script, f"http://{address}/", check=False).returncode == 0


def test_a_debian_server_serves_a_page_and_outlives_its_manager(
    host: SimulatedHost, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    seed = (ROOT / "packaging" / "web1.yaml").read_text().replace("@SSH_KEY@", public)
    (tmp_path / "web1.yaml").write_text(seed)

    host.lodge("launch", "debian-12", "web1", "--cloud-init", tmp_path / "web1.yaml",
               "--memory", "1GiB", "--disk", "6GiB")  # fmt: skip
    address = host.json("show", "web1")["status"]["addresses"][0]
    wait_for(lambda: answers(host, address), what="the page of web1", limit_s=1000)

    def ssh(command: str) -> str:
        done = host.run(
            "ssh", "-i", key, "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=60",
            f"admin@{address}", command, limit_s=180,
        )  # fmt: skip
        return done.stdout.decode().strip()

    assert ssh("hostname") == "web1"
    assert ssh("sudo -n id -u") == "0"
    assert "done" in ssh("cloud-init status --wait")
    assert int(ssh("df --output=size -BM / | tail -n 1").rstrip("M")) > 5000, "the root grew"
    assert ssh("cat /etc/machine-id") != ""
    before = host.json("show", "web1")["status"]["started_at"]

    host.kill_daemon()
    assert answers(host, address), "the page is served while no daemon runs"
    host.start()
    assert host.json("show", "web1")["state"] == "running"
    assert host.json("show", "web1")["status"]["started_at"] == before
    host.lodge("shutdown", "web1", "--timeout", "180")
    assert host.json("show", "web1")["state"] == "stopped"

"""A simulated host: own network, mounts, host name and /run on one kernel, and its own lodged.

Everything a test starts runs inside and ends with ``close``, also after a failure. The daemon's
state lies in a folder of the test; cgroups get a prefix of their own.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
_SETUP = """
set -e
mount --rbind /sys/fs/cgroup "$1/cg"
mount -t sysfs sysfs /sys
mount --move "$1/cg" /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/lodge
mount --bind /run/netns /run/netns
mount --make-private /run/netns
hostname "$2"
ip link set lo up
touch "$1/ready"
exec sleep infinity
"""


def wait_for(probe: Callable[[], Any], *, what: str, limit_s: float = 60.0) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + limit_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {limit_s:g} s: {what}")
        time.sleep(0.05)


class SimulatedHost:
    """One host, and commands on it."""

    def __init__(self, *, driver: str = "qemu", settings: Mapping[str, str] = {}):
        # Not below pytest's own folder: each start of pytest closes that to the guests' users.
        folder = Path(tempfile.mkdtemp(prefix="lodge-host-"))
        folder.chmod(0o711)
        self.folder = folder
        self.name = f"sim-{uuid.uuid4().hex[:6]}"
        self.driver = driver
        self.state = folder / "state"
        self.run_dir = Path("/run/lodge")
        self.log = folder / "lodged.log"
        self.settings = dict(settings)
        (folder / "cg").mkdir()
        with (folder / "holder.log").open("wb") as log:
            self.holder = subprocess.Popen(
                [
                    "unshare", "-n", "-m", "-u", "--propagation", "slave",
                    "sh", "-c", _SETUP, "sh", str(folder), self.name,
                ],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )  # fmt: skip
        wait_for((folder / "ready").exists, what="namespaces of the simulated host")
        self.daemon: subprocess.Popen[bytes] | None = None

    def command(self, *argv: str | Path) -> list[str]:
        """The words that run a command on this host."""
        enter = ["nsenter", "-t", str(self.holder.pid), "-n", "-m", "-u", "-r", "--"]
        return [*enter, *(str(word) for word in argv)]

    def run(
        self,
        *argv: str | Path,
        check: bool = True,
        stdin: bytes | None = None,
        limit_s: float = 120,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command on this host to its end."""
        done = subprocess.run(
            self.command(*argv), input=stdin, capture_output=True, timeout=limit_s, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{argv}: {done.returncode}\n{done.stdout!r}\n{done.stderr!r}")
        return done

    def lodge(self, *argv: str | Path, check: bool = True, stdin: bytes | None = None,
              limit_s: float = 300) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
        """Run the command line on this host."""
        return self.run(BIN / "lodge", *argv, check=check, stdin=stdin, limit_s=limit_s)

    def json(self, *argv: str | Path) -> Any:
        """Run the command line and read its JSON."""
        return json.loads(self.lodge(*argv, "--format", "json").stdout)

    def daemon_argv(self) -> list[str]:
        settings = {
            "state_dir": str(self.state),
            "config_file": str(self.folder / "lodge.toml"),
            "listen_port": "8443",
            "driver": self.driver,
            "cgroup_parent": self.name,
            "host_name": self.name,
            **self.settings,
        }
        words = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
        return self.command(BIN / "lodged", *words)

    def start(self, *, environment: Mapping[str, str] = {}, waits: bool = True) -> None:
        """Start the daemon and wait until it answers."""
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                self.daemon_argv(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        if waits:
            wait_for(self._answers, what=f"lodged to answer; its log: {self.log}")

    def _answers(self) -> bool:
        assert self.daemon is not None
        if self.daemon.poll() is not None:
            raise AssertionError(f"lodged ended:\n{self.log.read_text()[-3000:]}")
        return self.lodge("list", check=False).returncode == 0

    def kill_daemon(self) -> None:
        """End the daemon at once, as a crash would."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()

    def stop_daemon(self) -> None:
        """Ask the daemon to end."""
        assert self.daemon is not None
        self.daemon.terminate()
        self.daemon.wait(timeout=30)

    def reboot(self) -> None:
        """Lose everything but the disk: all processes and /run."""
        self._end_processes()
        self.run("sh", "-c", "umount -l /run/netns/* /run/netns; rm -rf /run/*; mkdir /run/netns",
                 check=False)  # fmt: skip

    def close(self) -> None:
        """End every process of this host, and the host with all its files."""
        self._end_processes()
        self.holder.kill()
        self.holder.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_processes(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.kill_daemon()
        mine = f"mnt:[{_namespace(self.holder.pid)}]"
        for _ in range(50):
            pids = [pid for pid in _pids() if _same(pid, mine) and pid != self.holder.pid]
            if not pids:
                break
            for pid in pids:
                _kill(pid)
            time.sleep(0.02)


def _pids() -> Sequence[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/mnt").split("[")[1].rstrip("]")


def _same(pid: int, namespace: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt") == namespace
    except OSError:
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return

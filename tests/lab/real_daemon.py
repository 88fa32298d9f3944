"""A real ``lodged`` process with fake drivers, and ways to talk to it as programs and people do."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DAEMON = [sys.executable, "-m", "lodge.daemon.main"]
COMMAND = [sys.executable, "-c", "from lodge.cli.main import entry; entry()"]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Answer:
    """What the API said."""

    status: int
    body: Any
    etag: str = ""

    @property
    def error(self) -> dict[str, Any]:
        assert self.status >= 400, self
        error: dict[str, Any] = self.body["error"]
        return error


@dataclass
class RealDaemon:
    """A daemon over a folder; it listens on its unix socket only unless told otherwise."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "lodged.sock"

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def argv(self) -> list[str]:
        settings = {
            "state-dir": str(self.folder / "state"),
            "run-dir": str(self.folder / "run"),
            "config-file": str(self.folder / "lodge.toml"),
            "listen-address": "",
            "driver": "fake",
            **self.settings,
        }
        return [*DAEMON, *(f"--{name}={value}" for name, value in settings.items())]

    def spawn(self, environment: Mapping[str, str] = {}) -> subprocess.Popen[bytes]:
        """Start it and do not wait."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.argv(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )
        return self.process

    def start(self, environment: Mapping[str, str] = {}) -> "RealDaemon":
        """Start it and wait until it answers."""
        process = self.spawn(environment)
        deadline = time.monotonic() + 60
        while not self.answers():
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)
        return self

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/v1").status == 200
        except OSError:
            return False

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """Send one request; ``raw`` instead of ``body`` for what is no JSON."""
        connection = _UnixConnection(self.socket)
        try:
            data = raw if raw is not None else None if body is None else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, data, {**sent, **headers})
            answer = connection.getresponse()
            text = answer.read()
            return Answer(
                answer.status, json.loads(text) if text else None, answer.getheader("ETag") or ""
            )
        finally:
            connection.close()

    def good(self, method: str, path: str, body: object = None) -> Any:
        """Send a request that must succeed; changes are waited for."""
        wait = ("&" if "?" in path else "?") + "wait=30" if method != "GET" else ""
        answer = self.ask(method, path + wait, body)
        assert answer.status < 300, answer
        task = (answer.body or {}).get("task")
        assert task is None or task["state"] == "done", task
        return answer.body

    def states(self) -> dict[str, str]:
        items = self.good("GET", "/v1/instances")["items"]
        return {item["name"]: item["state"] for item in items}

    def command(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run ``lodge`` as a person would."""
        return subprocess.run(
            [*COMMAND, *words],
            input=stdin,
            capture_output=True,
            env={**os.environ, "LODGE_SOCKET": str(self.socket), "HOME": str(self.folder)},
            timeout=60,
            check=False,
        )

"""One supervised dnsmasq: started detached, found again, told of new files, ended.

It is found by pid and start time as written down at its start, else by its command line, which
names our configuration file: a daemon killed right between start and note leaves no orphan.
"""

import asyncio
import hashlib
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lodge.base.world import World
from lodge.drivers.network.errors import NetworkFailedError
from lodge.model.record import Record
from lodge.system.files import write_whole
from lodge.system.namespace import call_in
from lodge.system.process import (
    ProcessIdentity,
    is_alive,
    kill,
    spawn_detached,
    wait_gone,
)
from lodge.system.process_search import find_processes
from lodge.system.threads import in_thread

__all__ = ["Dnsmasq"]

_LOG_BYTES_KEPT = 1 << 20
_LOG_TAIL_BYTES = 2000
_FILE_MODE = 0o640
_POLL_S = 0.02
_STOP_S = 3.0
_QUESTIONS = 2


class _Note(Record, frozen=True, kw_only=True):
    """What runs, and digests of the configuration and of the files it has read."""

    pid: int
    start_ticks: int
    config: str
    files: str

    @property
    def process(self) -> ProcessIdentity:
        """Its identity."""
        return ProcessIdentity(self.pid, self.start_ticks)


@dataclass(frozen=True, slots=True)
class Dnsmasq:
    """A dnsmasq with its configuration ``NAME.conf`` and log ``NAME.log`` in ``folder``."""

    name: str
    folder: Path
    run_folder: Path
    namespace: Path | None
    world: World
    start_timeout_s: float

    @property
    def config_path(self) -> Path:
        """Its configuration file."""
        return self.folder / f"{self.name}.conf"

    @property
    def _note_path(self) -> Path:
        return self.run_folder / f"{self.name}.json"

    @property
    def _log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def _argv(self) -> list[str]:
        return ["dnsmasq", f"--conf-file={self.config_path}"]

    def process(self) -> ProcessIdentity | None:
        """Return the process that runs now, or null."""
        note = self._note()
        if note is not None and is_alive(note.process):
            return note.process
        return next(iter(self._orphans()), None)

    async def ensure(
        self, config: str, files: Mapping[str, str], answers: Callable[[], bool]
    ) -> None:
        """Let it run with exactly this configuration and these files beside it.

        A process that runs with them already is left alone; other files are told to it by SIGHUP,
        another configuration means a new process. ``answers`` tells when it is ready; it blocks.

        Raises:
            NetworkFailedError: it ended or did not answer in time; the message ends with its log.
        """
        wanted_config, wanted_files = _digest(config), _digest(*_flat(files))
        for name, text in files.items():
            self._write(self.folder / name, text)
        note = self._note()
        if note is None or note.config != wanted_config or not await self._serves(note, answers):
            await self.stop()
            self._write(self.config_path, config)
            await self._start(wanted_config, wanted_files, answers)
        elif note.files != wanted_files:
            kill(note.process, signal.SIGHUP)
            self._keep(msgspec.structs.replace(note, files=wanted_files))

    async def _serves(self, note: _Note, answers: Callable[[], bool]) -> bool:
        """Whether the noted process lives and answers; asked again, for a lost packet is no end.

        One that was started in a namespace that is gone since lives on and answers nobody.
        """
        for _ in range(_QUESTIONS):
            if not is_alive(note.process):
                return False
            if await in_thread(answers):
                return True
        return False

    async def stop(self) -> None:
        """End it and every orphan of it; nothing happens when none runs."""
        note = self._note()
        found = self._orphans() if note is None else [note.process, *self._orphans()]
        for process in dict.fromkeys(found):
            await self._end(process)
        self._note_path.unlink(missing_ok=True)

    async def _end(self, process: ProcessIdentity) -> None:
        kill(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(wait_gone(process), _STOP_S)
        except TimeoutError:
            kill(process, signal.SIGKILL)
            await wait_gone(process)

    async def _start(self, config: str, files: str, answers: Callable[[], bool]) -> None:
        self._rotate_log()
        process = await in_thread(
            call_in, self.namespace, lambda: spawn_detached(self._argv, log=self._log_path)
        )
        note = _Note(pid=process.pid, start_ticks=process.start_ticks, config=config, files=files)
        self._keep(note)
        deadline = self.world.monotonic() + self.start_timeout_s
        while is_alive(process) and self.world.monotonic() < deadline:
            if await in_thread(answers):
                return
            await self.world.sleep(_POLL_S)
        ended = not is_alive(process)
        await self.stop()
        said = "ended" if ended else f"did not answer within {self.start_timeout_s:g} s"
        raise NetworkFailedError(f"dnsmasq {said}: {self._log_tail()}", where=str(self.config_path))

    def _orphans(self) -> list[ProcessIdentity]:
        return find_processes(self._argv[1])

    def _note(self) -> _Note | None:
        try:
            return msgspec.json.decode(self._note_path.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _keep(self, note: _Note) -> None:
        write_whole(self._note_path, msgspec.json.encode(note))

    def _write(self, path: Path, text: str) -> None:
        data = text.encode()
        if not path.exists() or path.read_bytes() != data:
            write_whole(path, data, mode=_FILE_MODE)

    def _rotate_log(self) -> None:
        log = self._log_path
        if log.exists() and log.stat().st_size > _LOG_BYTES_KEPT:
            log.replace(log.with_suffix(".log.1"))

    def _log_tail(self) -> str:
        if not self._log_path.exists():
            return "it said nothing"
        tail = self._log_path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return tail.strip().rpartition("\n")[2] or "it said nothing"


def _flat(files: Mapping[str, str]) -> list[str]:
    return [part for name in sorted(files) for part in (name, files[name])]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()

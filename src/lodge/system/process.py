"""Start programs, find them again, end them; nothing else in Lodge starts a process.

A process is identified by pid and start time (``/proc/PID/stat`` field 22, proc(5)), because a pid
alone may have been given to somebody else since.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lodge.system.errors import ProgramFailedError, ProgramMissingError, ProgramTimeoutError

__all__ = [
    "Completed",
    "ProcessIdentity",
    "ProcessUser",
    "find_program",
    "identify",
    "is_alive",
    "is_halted",
    "kill",
    "run",
    "spawn_detached",
    "started_at",
    "wait_gone",
]

_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
_TAIL_BYTES = 4000

# The daemon's own files are private unless a mode says otherwise; what programs make (the root
# file system of an image above all) has the modes those programs mean.
_CHILD_UMASK = 0o022
_REAP_POLL_S = 0.001
_NOT_YET = -1


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended."""

    exit_status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process for certain: pid and start time in clock ticks since boot."""

    pid: int
    start_ticks: int


@dataclass(frozen=True, slots=True)
class ProcessUser:
    """The system user and groups a program runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def find_program(name: str) -> Path:
    """Find a program on the daemon's own PATH.

    Raises:
        ProgramMissingError: it is not installed.
    """
    found = shutil.which(name, path=_ENVIRONMENT["PATH"])
    if found is None:
        raise ProgramMissingError(
            f"the program {name!r} is not installed", where=name, hint="see: lodge host check"
        )
    return Path(found)


async def run(
    argv: Sequence[str | Path],
    *,
    stdin: bytes | None = None,
    timeout_s: float = 60.0,
    is_checked: bool = True,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Completed:
    """Run a program to its end and return its output; cancelling ends the program too.

    Raises:
        ProgramMissingError: it is not installed.
        ProgramFailedError: it ended with another status than 0 (unless ``is_checked`` is false).
        ProgramTimeoutError: it took longer than ``timeout_s``; it was killed.
    """
    program = find_program(str(argv[0]))
    process = await asyncio.create_subprocess_exec(
        program,
        *(str(part) for part in argv[1:]),
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**_ENVIRONMENT, **(environment or {})},
        cwd=cwd,
        umask=_CHILD_UMASK,
        start_new_session=True,
    )
    try:
        stdout, stderr = await asyncio.wait_for(process.communicate(stdin), timeout_s)
    except TimeoutError:
        raise ProgramTimeoutError(
            f"{argv[0]} did not end within {timeout_s:g} s", where=str(argv[0])
        ) from None
    finally:
        if process.returncode is None:
            _kill_session(process.pid)
            await process.wait()
    status = process.returncode or 0
    if is_checked and status != 0:
        said = stderr[-_TAIL_BYTES:].decode(errors="replace").strip()
        raise ProgramFailedError(
            f"{argv[0]} failed with status {status}: {said or 'it said nothing'}",
            where=str(argv[0]),
            exit_status=status,
        )
    return Completed(status, stdout, stderr)


def _kill_session(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def spawn_detached(
    argv: Sequence[str | Path],
    *,
    log: Path,
    pass_fds: Sequence[int] = (),
    user: ProcessUser | None = None,
) -> ProcessIdentity:
    """Start a program that outlives the daemon.

    It gets its own session, ``log`` for its output, ``pass_fds`` and no other descriptor. With a
    ``user`` it is alone as well: no capabilities, none to be gained, and namespaces of its own for
    the network (without even a loopback) and for System V IPC; it reaches the world only through
    its descriptors and through sockets that have a path.

    Raises:
        ProgramMissingError: it is not installed.
    """
    words = [str(find_program(str(argv[0]))), *(str(part) for part in argv[1:])]
    if user is not None:
        words = [*_alone_as(user), *words]
    with log.open("ab") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_ENVIRONMENT,
            cwd="/",
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    identity = identify(process.pid)
    process.returncode = 0  # wait_gone() reaps it; Popen must not warn about it
    # A child that ended at once is a zombie until it is reaped, so it can be identified still.
    return identity or ProcessIdentity(process.pid, -1)


def _alone_as(user: ProcessUser) -> list[str]:
    """Return the words before a program; each of them becomes the next, so the pid stays."""
    groups = ",".join(str(group) for group in user.groups)
    return [
        *(str(find_program("unshare")), "--net", "--ipc", "--"),
        *("setpriv", "--reuid", str(user.uid), "--regid", str(user.gid)),
        *(("--groups", groups) if groups else ("--clear-groups",)),
        *("--no-new-privs", "--inh-caps", "-all", "--bounding-set", "-all", "--"),
    ]


def _stat_fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of a pid that exists now, zombies included."""
    fields = _stat_fields(pid)
    return None if fields is None else ProcessIdentity(pid, int(fields[19]))


def is_alive(process: ProcessIdentity) -> bool:
    """Whether that very process still runs; a zombie does not."""
    fields = _stat_fields(process.pid)
    return (
        fields is not None
        and int(fields[19]) == process.start_ticks
        and fields[0] not in ("Z", "X", "x")
    )


def is_halted(process: ProcessIdentity) -> bool:
    """Whether that very process was stopped by SIGSTOP or a debugger, so that it cannot answer."""
    fields = _stat_fields(process.pid)
    return fields is not None and int(fields[19]) == process.start_ticks and fields[0] in ("T", "t")


def started_at(process: ProcessIdentity) -> float:
    """Wall clock second at which a process started; the same however often it is asked."""
    boot = next(
        int(line.split()[1])
        for line in Path("/proc/stat").read_text(encoding="ascii").splitlines()
        if line.startswith("btime ")
    )
    return boot + process.start_ticks / os.sysconf("SC_CLK_TCK")


def kill(process: ProcessIdentity, signal_number: int = signal.SIGKILL) -> bool:
    """Send a signal to that very process; false when it is gone."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        if not is_alive(process):
            return False
        signal.pidfd_send_signal(handle, signal_number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


async def wait_gone(process: ProcessIdentity) -> int | None:
    """Wait until the process has ended; return its exit status when it was our child.

    The status is negative for a signal, as in ``subprocess``; null for a process that an earlier
    daemon started.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    try:
        if identify(process.pid) != process:
            return None  # the pid is somebody else's by now
        # Also for a zombie: its other threads may run on and hold files and locks.
        await _readable(handle)
    finally:
        os.close(handle)
    # The kernel tells the end a moment before a process with many threads can be reaped, and has
    # no event for that moment.
    while (status := _reap(process.pid)) == _NOT_YET:  # noqa: ASYNC110
        await asyncio.sleep(_REAP_POLL_S)
    return None if status is None else os.waitstatus_to_exitcode(status)


async def _readable(handle: int) -> None:
    """Wait for a pidfd: it becomes readable when its process ends (pidfd_open(2))."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(handle)


def _reap(pid: int) -> int | None:
    """Return a child's wait status, ``_NOT_YET``, or null when it is no child of ours."""
    try:
        reaped, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return status if reaped == pid else _NOT_YET

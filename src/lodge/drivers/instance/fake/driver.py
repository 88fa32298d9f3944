"""A named fake: instances that exist only as small files, with the contract of the real drivers.

What "runs" is written into each instance's run folder, where a real process would keep its
sockets, so that a daemon that was killed finds its fake guests again, and a rebooted host (whose
run folder is empty) does not. Tests and demos tell it to fail, hang or fill up through ``Faults``.
"""

import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from lodge.base.world import World
from lodge.drivers.instance.contract import (
    ConsoleSession,
    Ended,
    ExecOutcome,
    Handle,
    InstancePlan,
    InstanceTraits,
    Listener,
    Observation,
    Signal,
)
from lodge.drivers.instance.errors import HandleLostError
from lodge.drivers.instance.fake.faults import Faults
from lodge.drivers.instance.fake.guest import PIXEL_PNG, FakeConsole, execute
from lodge.model.instance import InstanceKind, InstanceSpec, MachineType, Power

__all__ = ["FakeInstances"]

_STATE_FILE = "fake.json"


class FakeInstances:
    """Run nothing, and keep every promise of ``InstanceDriver`` about it."""

    name: ClassVar[str] = "fake"
    traits: ClassVar[InstanceTraits] = InstanceTraits(
        kinds=frozenset({InstanceKind.VM}), is_local=False
    )

    def __init__(self, world: World, faults: Faults | None = None) -> None:
        self._world = world
        self._listeners: list[Listener] = []
        self._consoles: dict[str, FakeConsole] = {}
        self.faults = faults or Faults()

    def listen(self, listener: Listener, /) -> None:
        """Call the listener for every signal from now on."""
        self._listeners.append(listener)

    async def machine_version(self, spec: InstanceSpec, /) -> str:
        """Return a plausible pinned machine type."""
        return "fake-microvm-1" if spec.machine is MachineType.MICROVM else "fake-q35-1"

    async def check(self, _plan: InstancePlan, /) -> None:
        """Everything can run here, unless a fault says otherwise."""
        await self.faults.meet("check")

    async def start(self, plan: InstancePlan, /, *, saved: Path | None = None) -> Handle:
        """Write down that it runs."""
        await self.faults.meet("start")
        state = _read(plan.run_dir)
        if state is None:
            plan.run_dir.mkdir(parents=True, exist_ok=True)
            fresh = {"power": Power.RUNNING.value, "started_at": self._world.now(), "files": {}}
            if saved is not None:
                fresh = {**json.loads(saved.read_text()), "power": Power.RUNNING.value}
            _write(plan.run_dir, fresh)
            self._tell(plan.id, Signal.STARTED)
        return {"run_dir": str(plan.run_dir)}

    async def stop(self, plan_id: str, handle: Handle, /) -> None:
        """Forget that it ran."""
        await self.faults.meet("stop")
        if _state(handle) is not None:
            self._end(plan_id, _run_dir(handle), Ended.ASKED)

    async def shutdown(self, plan_id: str, handle: Handle, /) -> None:
        """Let the fake guest end by itself at once, unless a fault makes it deaf."""
        self._running(handle)
        if await self.faults.meet("shutdown"):
            self._end(plan_id, _run_dir(handle), Ended.GUEST)

    async def pause(self, plan_id: str, handle: Handle, /) -> None:
        """Write down that it is paused."""
        await self.faults.meet("pause")
        self._set_power(plan_id, handle, Power.PAUSED, Signal.PAUSED)

    async def resume(self, plan_id: str, handle: Handle, /) -> None:
        """Write down that it runs again."""
        await self.faults.meet("resume")
        self._set_power(plan_id, handle, Power.RUNNING, Signal.STARTED)

    async def reset(self, plan_id: str, handle: Handle, /) -> None:
        """Tell that it was reset."""
        self._running(handle)
        self._tell(plan_id, Signal.RESET)

    async def observe(self, _plan_id: str, handle: Handle, /) -> Observation:
        """Read what was written down."""
        if not await self.faults.meet("observe"):
            return Observation(power=None, reason="the fake driver was told to hang")
        state = _state(handle)
        if state is None:
            return Observation(power=Power.STOPPED)
        return Observation(
            power=Power(state["power"]),
            started_at=state["started_at"],
            accelerator="fake",
            agent_answers=True,
        )

    async def recover(self, plan_id: str, handle: Handle, /) -> Observation:
        """Same as observing: there is no connection to make anew."""
        return await self.observe(plan_id, handle)

    async def forget(self, plan_id: str, run_dir: Path, /) -> None:
        """Remove the run folder."""
        self._consoles.pop(plan_id, None)
        shutil.rmtree(run_dir, ignore_errors=True)

    async def close(self) -> None:
        """Let go of the listeners."""
        self._listeners.clear()

    async def suspend(
        self,
        plan_id: str,
        handle: Handle,
        target: Path,
        /,
        progress: Callable[[int, int | None], None],
    ) -> None:
        """Keep the small state in ``target`` and end."""
        if target.exists() and _state(handle) is None:
            return
        self._running(handle)
        await self.faults.meet("suspend")
        target.write_text(json.dumps(_read(_run_dir(handle))))
        progress(1, 1)
        self._end(plan_id, _run_dir(handle), Ended.ASKED)

    async def execute(
        self,
        plan_id: str,
        handle: Handle,
        command: Sequence[str],
        /,
        *,
        stdin: bytes | None,
        environment: Mapping[str, str],
        timeout_s: float,
    ) -> ExecOutcome:
        """Answer a handful of harmless commands."""
        self._running(handle)
        await self.faults.meet("execute")
        return execute(plan_id, command, stdin, environment, timeout_s)

    async def read_file(self, _plan_id: str, handle: Handle, path: str, /) -> AsyncIterator[bytes]:
        """Yield a file that was written before."""
        content = self._running(handle)["files"].get(path)
        if content is None:
            raise HandleLostError(f"no file {path!r} in the fake guest", where=path)
        yield bytes.fromhex(content)

    async def write_file(
        self,
        _plan_id: str,
        handle: Handle,
        path: str,
        data: AsyncIterator[bytes],
        /,
        *,
        mode: int | None,
    ) -> int:
        """Keep a file in the fake guest's state; the mode has no meaning there."""
        del mode
        content = b"".join([chunk async for chunk in data])
        state = self._running(handle)
        state["files"][path] = content.hex()
        _write(_run_dir(handle), state)
        return len(content)

    async def console(self, plan_id: str, handle: Handle, /) -> ConsoleSession:
        """Open a session on a console that prints what was typed."""
        self._running(handle)
        return self._consoles.setdefault(plan_id, FakeConsole()).session()

    async def screenshot(self, _plan_id: str, handle: Handle, /) -> bytes:
        """Return one black pixel."""
        self._running(handle)
        return PIXEL_PNG

    def log_files(self, state_dir: Path, /) -> Mapping[str, Sequence[Path]]:
        """Return where a log would be, if anything wrote one."""
        return {"serial": [path for path in [state_dir / "serial.log"] if path.exists()]}

    async def hold_for_space(self, plan_id: str, handle: Handle, /) -> None:
        """Pause it for lack of room."""
        self._set_power(plan_id, handle, Power.PAUSED, Signal.NO_SPACE)

    def crash(self, plan_id: str, run_dir: Path) -> None:
        """For tests: let its process die."""
        self._end(plan_id, run_dir, Ended.CRASHED)

    def _running(self, handle: Handle) -> dict[str, Any]:
        state = _state(handle)
        if state is None:
            raise HandleLostError("nothing runs under this handle", where=str(dict(handle)))
        return state

    def _set_power(self, plan_id: str, handle: Handle, power: Power, signal: Signal) -> None:
        state = self._running(handle)
        if state["power"] != power.value:
            _write(_run_dir(handle), {**state, "power": power.value})
            self._tell(plan_id, signal)

    def _end(self, plan_id: str, run_dir: Path, why: Ended) -> None:
        (run_dir / _STATE_FILE).unlink(missing_ok=True)
        console = self._consoles.pop(plan_id, None)
        if console is not None:
            console.end()
        self._tell(plan_id, Signal.ENDED, why=why, detail=f"fake guest ended: {why.value}")

    def _tell(self, plan_id: str, signal: Signal, **data: Any) -> None:
        for listener in self._listeners:
            listener(plan_id, signal, data)


def _run_dir(handle: Handle) -> Path:
    return Path(str(handle["run_dir"]))


def _state(handle: Handle) -> dict[str, Any] | None:
    return _read(_run_dir(handle)) if "run_dir" in handle else None


def _read(run_dir: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((run_dir / _STATE_FILE).read_text())
    except FileNotFoundError:
        return None
    return state


def _write(run_dir: Path, state: Mapping[str, Any]) -> None:
    temporary = run_dir / f"{_STATE_FILE}.new"
    temporary.write_text(json.dumps(dict(state)))
    temporary.rename(run_dir / _STATE_FILE)

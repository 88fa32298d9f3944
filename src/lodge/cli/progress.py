"""Progress of a task: one line that changes on a terminal, a line per step elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TextIO

from lodge.cli.failures import one_line
from lodge.cli.human import duration

__all__ = ["ProgressLine", "progress_text"]

BAR_CELLS = 24
_QUARTER = 25


class ProgressLine:
    """Shows a task each time it is told about it.

    Args:
        stream: standard error.
        title: what is being done, for the line's beginning.
        is_terminal: draw on one line; else write few, whole lines.
    """

    def __init__(self, stream: TextIO, title: str, *, is_terminal: bool) -> None:
        self._stream = stream
        self._title = title
        self._is_terminal = is_terminal
        self._is_drawn = False
        self._told: set[tuple[str, int]] = set()

    def show(self, task: Mapping[str, Any], now: float) -> None:
        """Show how far a task is."""
        if self._is_terminal:
            text = progress_text(self._title, task, now, self._cells())
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()
            self._is_drawn = True
            return
        self._tell(task, now)

    def clear(self) -> None:
        """Take the line away again; idempotent."""
        if self._is_drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._is_drawn = False

    def _tell(self, task: Mapping[str, Any], now: float) -> None:
        step = _current(task)
        if step is None:
            return
        percent = _percent(step.get("progress"))
        key = (str(step["name"]), -1 if percent is None else percent // _QUARTER)
        if key not in self._told:
            self._told.add(key)
            self._stream.write(progress_text(self._title, task, now, None) + "\n")
            self._stream.flush()

    def _cells(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except OSError:
            return 80


def progress_text(title: str, task: Mapping[str, Any], now: float, width: int | None) -> str:
    """Write how far a task is on one line, with a bar when ``width`` cells are there for it."""
    step = _current(task)
    if step is None:
        return f"{title}: {task['state']}"
    place, total = _place(task)
    parts = [f"{title}: {step['name']}" + (f" ({place}/{total})" if total > 1 else "")]
    if task.get("state") == "undoing":
        parts = [f"{title}: undoing what was done"]
    if progress := step.get("progress"):
        parts += _measured(progress, now, has_bar=width is not None)
    text = one_line("  ".join(part for part in parts if part))
    return text if width is None or len(text) < width else text[: max(0, width - 2)] + "…"


def _measured(progress: Mapping[str, Any], now: float, *, has_bar: bool) -> list[str]:
    parts = []
    percent = _percent(progress)
    if percent is not None:
        if has_bar:
            filled = BAR_CELLS * percent // 100
            parts.append(f"[{'#' * filled}{'.' * (BAR_CELLS - filled)}]")
        parts.append(f"{percent:3d}%")
    parts.append(_amount(progress))
    left_s = _eta_s(progress, now)
    if left_s is not None and percent != 100:
        parts.append(f"ETA {duration(left_s)}")
    parts.append(str(progress.get("note") or ""))
    return parts


def _amount(progress: Mapping[str, Any]) -> str:
    done, total, unit = progress["done"], progress.get("total"), progress.get("unit", "bytes")
    if unit == "bytes":
        from lodge.base.units import format_size

        return format_size(done) + ("" if total is None else f" of {format_size(total)}")
    return f"{done}" + ("" if total is None else f" of {total}") + f" {unit}"


def _percent(progress: Mapping[str, Any] | None) -> int | None:
    if not progress or not progress.get("total"):
        return None
    return max(0, min(100, int(100 * progress["done"] / progress["total"])))


def _eta_s(progress: Mapping[str, Any], now: float) -> float | None:
    from lodge.model.task import Progress, eta_seconds

    known = {name: progress[name] for name in ("done", "total", "started_at") if name in progress}
    return eta_seconds(Progress(**known), now)


def _current(task: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The step under way; of several (or none) the last one that was begun."""
    begun = [step for step in task.get("steps", ()) if step.get("state") != "waiting"]
    running = [step for step in begun if step.get("state") == "running"]
    chosen: Mapping[str, Any] | None = (running or begun or [None])[-1]
    return chosen


def _place(task: Mapping[str, Any]) -> tuple[int, int]:
    steps = list(task.get("steps", ()))
    step = _current(task)
    return (steps.index(step) + 1 if step in steps else 0), len(steps)

"""Find processes by what they were started with, when no note of them is left."""

from pathlib import Path

from lodge.system.process import ProcessIdentity, identify, is_alive

__all__ = ["find_processes"]


def find_processes(argument: str) -> list[ProcessIdentity]:
    """List the living processes that have exactly this argument on their command line.

    The argument must be one that nobody else uses, such as the path of an own file.
    """
    wanted = argument.encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and wanted in _arguments(entry):
            process = identify(int(entry.name))
            if process is not None and is_alive(process):
                found.append(process)
    return found


def _arguments(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []

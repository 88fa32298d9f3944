"""``Settings`` as the API shows and changes them: kept in the configuration file."""

import asyncio
import tomllib
from pathlib import Path
from typing import Any

from lodge.daemon.settings import SETTINGS, DaemonSettings, parse_setting, told_settings
from lodge.model.answers import Setting
from lodge.model.task import Actor
from lodge.system.files import make_folder, write_whole

__all__ = ["SettingsFile"]


class SettingsFile:
    """The table of settings with the values in force, and the file they are kept in."""

    def __init__(self, settings: DaemonSettings) -> None:
        self._settings = settings
        self._defaults = told_settings(DaemonSettings())

    def list(self) -> list[Setting]:
        """All settings with the values this daemon runs with."""
        values = told_settings(self._settings)
        return [
            Setting(
                name=name,
                value=values[name],
                default=self._defaults[name],
                description=definition.description,
                takes_effect="restart",
            )
            for name, definition in SETTINGS.items()
        ]

    async def set(self, name: str, value: Any, _actor: Actor, /) -> None:
        """Check a value and keep it in the file; null takes it out again.

        Raises:
            InvalidSettingError: unknown name or bad value.
        """
        if value is not None:
            parse_setting(name, str(value), where=name)
        await asyncio.to_thread(_keep, self._settings.config_file, name, value)


def _keep(path: Path, name: str, value: Any) -> None:
    kept = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept.pop(name, None)
    if value is not None:
        kept[name] = value
    make_folder(path.parent, mode=0o755)
    write_whole(path, _toml(kept).encode(), mode=0o644)


def _toml(values: dict[str, object]) -> str:
    return "".join(f"{name} = {_quoted(str(value))}\n" for name, value in sorted(values.items()))


def _quoted(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(char):04x}" if ord(char) < 32 or char in '"\\' else char for char in text
    )
    return f'"{escaped}"'

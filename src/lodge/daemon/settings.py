"""The daemon's settings as one table: check, file, command line, API and reference page use it."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lodge.base.errors import InvalidError

__all__ = [
    "SETTINGS",
    "DaemonSettings",
    "InvalidSettingError",
    "SettingDefinition",
    "parse_setting",
    "read_settings",
    "told_settings",
]


class InvalidSettingError(InvalidError):
    """A setting is unknown or has a value that cannot be."""

    code = "invalid_setting"
    hint_text = "see docs/reference/settings.md"


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """Every setting with its default; the meanings stand in ``SETTINGS``."""

    state_dir: Path = Path("/var/lib/lodge")
    run_dir: Path = Path("/run/lodge")
    config_file: Path = Path("/etc/lodge/lodge.toml")
    listen_address: str = "127.0.0.1"
    listen_port: int = 8443
    driver: str = "qemu"
    host_name: str = ""
    cgroup_parent: str = "lodge"
    default_pool_path: str = ""
    default_network_ipv4: str = ""
    kvm_probe_timeout_s: int = 15
    task_history: int = 10000
    log_level: str = "info"

    @property
    def socket(self) -> Path:
        """The unix socket of the API."""
        return self.run_dir / "lodged.sock"


@dataclass(frozen=True, slots=True)
class SettingDefinition:
    """One setting: how it is read from text, and what it means."""

    name: str
    parse: Callable[[str], Any]
    description: str


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("must be an absolute path")
    return path


def _choice(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return parse


SETTINGS: Mapping[str, SettingDefinition] = {
    definition.name: definition
    for definition in (
        SettingDefinition("state_dir", _folder, "what must survive a reboot: database, images"),
        SettingDefinition("run_dir", _folder, "sockets; emptied by a reboot"),
        SettingDefinition("config_file", _folder, "where these settings are kept"),
        SettingDefinition(
            "listen_address", str, "address of the HTTPS door; empty: only the unix socket"
        ),
        SettingDefinition("listen_port", _number(0, 65535), "TCP port of the HTTPS door"),
        SettingDefinition("driver", _choice("qemu", "fake"), "what runs VMs; fake is for demos"),
        SettingDefinition("host_name", str, "name of this host; empty: what the system says"),
        SettingDefinition("cgroup_parent", str, "cgroup that holds all instances' groups"),
        SettingDefinition(
            "default_pool_path", str, "folder of the pool made at first start; empty: in state_dir"
        ),
        SettingDefinition(
            "default_network_ipv4",
            str,
            "gateway/prefix of the network made at first start; empty: a free one is chosen",
        ),
        SettingDefinition(
            "kvm_probe_timeout_s", _number(1, 300), "how long a probe guest may take under KVM"
        ),
        SettingDefinition("task_history", _number(100, 1000000), "finished tasks that are kept"),
        SettingDefinition(
            "log_level", _choice("debug", "info", "warning", "error"), "how much lodged logs"
        ),
    )
}
"""All settings. A change takes effect at the daemon's next start."""


def parse_setting(name: str, text: str, *, where: str) -> Any:
    """Read one setting's value from text.

    Raises:
        InvalidSettingError: unknown name or bad value.
    """
    definition = SETTINGS.get(name)
    if definition is None:
        raise InvalidSettingError(f"there is no setting {name!r}", where=where)
    try:
        return definition.parse(text)
    except ValueError as error:
        raise InvalidSettingError(f"{name} = {text!r}: {error}", where=where) from error


def read_settings(config_file: Path, overrides: Mapping[str, str]) -> DaemonSettings:
    """Merge defaults, the file (when it exists) and the command line, strongest last.

    Raises:
        InvalidSettingError: with the file or option at fault.
    """
    values: dict[str, Any] = {"config_file": config_file}
    for name, value in _read_file(config_file).items():
        values[name] = parse_setting(name, str(value), where=f"{config_file}: {name}")
    for name, text in overrides.items():
        values[name] = parse_setting(name, text, where=f"--{name.replace('_', '-')}")
    return DaemonSettings(**values)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettingError(f"{path} is not TOML: {error}", where=str(path)) from error


def told_settings(settings: DaemonSettings) -> dict[str, str]:
    """Write every setting as text."""
    return {field.name: str(getattr(settings, field.name)) for field in fields(settings)}

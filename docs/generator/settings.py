"""Settings of the daemon and of its drivers."""

from dataclasses import MISSING, fields
from typing import Any, Literal, get_args, get_origin

import msgspec

from generator.markdown import code, page, table
from lodge.daemon.settings import SETTINGS, DaemonSettings, SettingDefinition, told_settings
from lodge.drivers.instance.qemu.options import QemuOptions
from lodge.drivers.network.bridge.options import BridgeOptions

__all__ = ["settings_page"]

_ABOUT = """
Settings of `lodged`. They come from, strongest last: the default, the file `/etc/lodge/lodge.toml`
(`name = value` lines of TOML), the command line of `lodged` (`--listen-port 9443`).

`lodge config list` shows those in force, `lodge config set NAME=VALUE` writes the file. Every
change takes effect at the next start of `lodged`; guests are not touched by that.
"""

_DRIVERS = """
## Driver settings

What the drivers could be told by the program that makes them. The daemon sets `probe_timeout_s`
(`kvm_probe_timeout_s` above) and the folders; everything else has its default.
"""


def settings_page() -> str:
    """The daemon's table, then one for each driver with settings."""
    defaults = told_settings(DaemonSettings())
    return page(
        "Settings",
        _ABOUT,
        table(
            ("name", "default", "allowed", "meaning"),
            (
                (code(name), code(defaults[name]) or "empty", _allowed(definition), _what(name))
                for name, definition in SETTINGS.items()
            ),
        ),
        _DRIVERS,
        "### QEMU",
        table(("name", "default", "allowed", "meaning"), _qemu_rows()),
        "### Bridge",
        table(("name", "default"), _bridge_rows()),
    )


def _what(name: str) -> str:
    return SETTINGS[name].description


def _allowed(definition: SettingDefinition) -> str:
    """Ask with a value that is no choice, no folder and below every bound."""
    try:
        definition.parse("-1")
    except ValueError as refusal:
        return str(refusal).removeprefix("must be ")
    return "text"


def _qemu_rows() -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for field in msgspec.structs.fields(QemuOptions):
        kind, *metas = get_args(field.type)
        rows.append(
            (code(field.name), code(str(field.default)), _bounds(kind, metas), _said(metas))
        )
    return rows


def _bounds(kind: Any, metas: list[Any]) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    meta = metas[0]
    low = f"from {meta.ge}" if meta.ge is not None else f"more than {meta.gt}"
    return f"{low} to {meta.le}"


def _said(metas: list[Any]) -> str:
    return "; ".join(meta.description for meta in metas if meta.description)


def _bridge_rows() -> list[tuple[str, str]]:
    return [
        (code(field.name), code(_told(field.default)))
        for field in fields(BridgeOptions)
        if field.default is not MISSING
    ]


def _told(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)

"""How QEMU wants things written: option lists with doubled commas, JSON for block nodes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["Value", "as_json", "device", "option"]

Value = str | int | bool | Path


def option(head: str, /, **properties: Value | None) -> str:
    """Write ``head,key=value,...``; underscores in keys become hyphens, nulls are left out.

    A comma inside a value is doubled, because QEMU splits at single ones (qemu(1), QemuOpts).

    >>> option("socket", id="qmp", path=Path("/run/a,b"), server=True)
    'socket,id=qmp,path=/run/a,,b,server=on'
    """
    parts = [head]
    for key, value in properties.items():
        if value is not None:
            parts.append(f"{key.rstrip('_').replace('_', '-')}={_text(value)}")
    return ",".join(parts)


def device(driver: str, /, **properties: Value | None) -> tuple[str, str]:
    """Write one ``-device``; keys keep their underscores, as device properties have them."""
    parts = [driver]
    for key, value in properties.items():
        if value is not None:
            parts.append(f"{key}={_text(value)}")
    return "-device", ",".join(parts)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value).replace(",", ",,")


def as_json(value: Mapping[str, Any]) -> str:
    """Write a block node; compact, in the given order."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

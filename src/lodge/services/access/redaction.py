"""What an audit record may hold of a request: everything but secrets and bulk; pure.

A text that may hold a secret is replaced by its SHA-256 and length, so that an auditor can tell
whether two requests were the same, or whether a known text was used, without reading it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["SECRET_FIELDS", "redact"]

SECRET_FIELDS = frozenset(
    {
        "environment",
        "network_config",
        "password",
        "secret",
        "stdin",
        "token",
        "user_data",
        "vendor_data",
    }
)
"""Names of fields whose texts may hold secrets."""

_URL_LOGIN = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)[^/?#@\s]*@")
_LONGEST_TEXT = 1024
_LONGEST_LIST = 64
_DEEPEST = 8


def redact(value: Any) -> Any:
    """Return JSON values with secrets, long texts and long lists replaced by what they measure."""
    return _walk(msgspec.to_builtins(value, str_keys=True), 0)


def _walk(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {name: _field(name, part, depth) for name, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [_walk(part, depth + 1) for part in value[:_LONGEST_LIST]]
        rest = len(value) - len(parts)
        return [*parts, f"... {rest} more"] if rest else parts
    if isinstance(value, str):
        return _text(value)
    return value


def _field(name: str, value: Any, depth: int) -> Any:
    if name not in SECRET_FIELDS or value is None:
        return _walk(value, depth + 1)
    if isinstance(value, Mapping):
        return {part: _digest(str(text)) for part, text in value.items()}
    return _digest(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _text(value: str) -> str:
    shown = _URL_LOGIN.sub(r"\g<scheme>***@", value)
    return shown if len(shown) <= _LONGEST_TEXT else _digest(value)


def _digest(text: str) -> str:
    data = text.encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(data).hexdigest()} ({len(data)} bytes)"

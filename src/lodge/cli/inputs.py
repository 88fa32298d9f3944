"""Files on this side that become part of requests."""

from __future__ import annotations

import sys
from pathlib import Path

from lodge.cli.errors import LocalFileError

__all__ = ["read_public_keys", "read_text"]

MAX_BYTES = 1 << 20
_KEY_TYPES = ("ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-")


def read_text(path: str) -> str:
    """Read a small text file; ``-`` is standard input.

    Raises:
        LocalFileError: it is not there, too large, or not UTF-8.
    """
    try:
        content = sys.stdin.buffer.read(MAX_BYTES + 1) if path == "-" else _read(path)
        text = content.decode()
    except OSError as error:
        raise LocalFileError(f"cannot read {path}: {error.strerror}", where=path) from error
    except UnicodeDecodeError as error:
        raise LocalFileError(f"{path} is not text (UTF-8)", where=path) from error
    if len(content) > MAX_BYTES:
        raise LocalFileError(f"{path} is larger than 1 MiB", where=path)
    return text


def read_public_keys(path: str) -> list[str]:
    """Read the public keys in a file, one per line.

    Raises:
        LocalFileError: there is none, or it is a private key, which must never be sent.
    """
    text = read_text(path)
    if "PRIVATE KEY" in text:
        raise LocalFileError(
            f"{path} is a private key; it stays where it is",
            where=path,
            hint=f"give the public one: --ssh-key {path}.pub",
        )
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    for key in keys:
        if not any(kind in key for kind in _KEY_TYPES):
            raise LocalFileError(f"{path} holds a line that is no SSH public key", where=path)
    if not keys:
        raise LocalFileError(f"{path} holds no SSH public key", where=path)
    return keys


def _read(path: str) -> bytes:
    with Path(path).expanduser().open("rb") as file:
        return file.read(MAX_BYTES + 1)

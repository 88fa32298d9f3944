"""Remote daemons this user knows: addresses, pinned certificates and tokens, in a private file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lodge.cli.errors import LocalFileError, RemoteExistsError, RemoteUnknownError
from lodge.client.address import Address, read_token
from lodge.client.errors import SecretFileError

__all__ = ["add_remote", "load_address", "load_remotes", "remotes_path", "remove_remote"]

Remotes = dict[str, dict[str, Any]]


def remotes_path(environment: Mapping[str, str]) -> Path:
    """Return the file: below ``XDG_CONFIG_HOME`` or ``~/.config`` (XDG Base Directory 0.8)."""
    base = environment.get("XDG_CONFIG_HOME") or os.path.join(
        environment.get("HOME") or os.path.expanduser("~"), ".config"
    )
    return Path(base) / "lodge" / "remotes.json"


def load_remotes(environment: Mapping[str, str]) -> Remotes:
    """Read all remotes by name.

    Raises:
        SecretFileError: others can read the file.
        LocalFileError: it is damaged.
    """
    path = remotes_path(environment)
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            content = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LocalFileError(f"cannot read {path}: {error}", where=str(path)) from error
    if mode & 0o077:
        raise SecretFileError(
            f"{path} holds secrets but is open to others (mode {mode:04o})",
            where=str(path),
            hint=f"chmod 600 {path}",
        )
    remotes = content.get("remotes") if isinstance(content, dict) else None
    if not isinstance(remotes, dict):
        raise LocalFileError(f"{path} is not a list of remotes", where=str(path))
    return remotes


def load_address(name: str, environment: Mapping[str, str]) -> Address:
    """Return a remote's address; ``LODGE_TOKEN`` goes before the token kept.

    Raises:
        RemoteUnknownError: nobody added it.
    """
    remotes = load_remotes(environment)
    if name not in remotes:
        from lodge.cli.parser import nearest

        guess = nearest(name, list(remotes))
        raise RemoteUnknownError(
            f"there is no remote {name!r}", hint=f"did you mean {guess}?" if guess else None
        )
    remote = remotes[name]
    token = environment.get("LODGE_TOKEN") or remote.get("token")
    if not token and remote.get("token_file"):
        token = read_token(remote["token_file"])
    return Address.from_url(
        remote["url"],
        fingerprint=remote.get("fingerprint"),
        ca_file=remote.get("ca_file"),
        token=token,
    )


def add_remote(
    name: str, remote: Mapping[str, Any], environment: Mapping[str, str], *, is_replacing: bool
) -> Path:
    """Keep a remote; the file is readable by its owner only, from its first byte on.

    Raises:
        RemoteExistsError: there is one of that name already.
    """
    remotes = load_remotes(environment)
    if name in remotes and not is_replacing:
        raise RemoteExistsError(
            f"there is a remote {name!r} already", hint="add --replace to overwrite it"
        )
    remotes[name] = {key: value for key, value in remote.items() if value is not None}
    return _save(remotes, environment)


def remove_remote(name: str, environment: Mapping[str, str]) -> None:
    """Forget a remote and its token.

    Raises:
        RemoteUnknownError: there is none.
    """
    remotes = load_remotes(environment)
    if remotes.pop(name, None) is None:
        raise RemoteUnknownError(f"there is no remote {name!r}")
    _save(remotes, environment)


def _save(remotes: Remotes, environment: Mapping[str, str]) -> Path:
    path = remotes_path(environment)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"remotes": remotes}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        raise LocalFileError(f"cannot write {path}: {error}", where=str(path)) from error
    return path

"""Where a daemon is: a unix socket of this machine, or HTTPS with a token."""

from __future__ import annotations

import os
from collections.abc import Mapping

from lodge.base.errors import InvalidError
from lodge.client.errors import SecretFileError

__all__ = [
    "DEFAULT_SOCKET",
    "Address",
    "InvalidAddressError",
    "local_address",
    "plain_fingerprint",
    "read_token",
]

DEFAULT_SOCKET = "/run/lodge/lodged.sock"
DEFAULT_PORT = 8443
_FINGERPRINT_DIGITS = 64


class InvalidAddressError(InvalidError):
    """A URL, port or certificate fingerprint is not written as it must be."""

    code = "invalid_address"


class Address:
    """Where to connect and what to show there.

    Args:
        socket_path: unix socket; or else
        host: name or IP address of an HTTPS daemon, with ``port``.
        fingerprint: SHA-256 of the server's certificate in hexadecimal digits: only that
            certificate is accepted, whoever signed it.
        ca_file: PEM file with the authority that signed the server's certificate.
        token: the secret shown to the server; never printed.
    """

    __slots__ = ("ca_file", "fingerprint", "host", "port", "socket_path", "token")

    def __init__(
        self,
        *,
        socket_path: str | None = None,
        host: str = "",
        port: int = DEFAULT_PORT,
        fingerprint: str | None = None,
        ca_file: str | None = None,
        token: str | None = None,
    ) -> None:
        self.socket_path = socket_path
        self.host = host
        self.port = port
        self.fingerprint = None if fingerprint is None else plain_fingerprint(fingerprint)
        self.ca_file = ca_file
        self.token = token

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        fingerprint: str | None = None,
        ca_file: str | None = None,
        token: str | None = None,
    ) -> Address:
        """Read ``https://host[:port]`` or ``unix:/path``.

        Raises:
            InvalidAddressError: another scheme, a missing host, a path, or a bad port.
        """
        if url.startswith("unix:"):
            return cls(socket_path=url.removeprefix("unix:").replace("//", "/"))
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(url)
            port = parts.port or DEFAULT_PORT
        except ValueError as error:
            raise InvalidAddressError(f"{url!r} is not an address: {error}", where="url") from error
        if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
            raise InvalidAddressError(
                f"{url!r} is not the address of a daemon",
                where="url",
                hint=f"write https://NAME or https://NAME:PORT (port {DEFAULT_PORT} when left out)",
            )
        return cls(
            host=parts.hostname, port=port, fingerprint=fingerprint, ca_file=ca_file, token=token
        )

    @property
    def is_local(self) -> bool:
        """Whether it is a unix socket."""
        return self.socket_path is not None

    @property
    def authority(self) -> str:
        """What stands in the Host header."""
        if self.is_local:
            return "localhost"
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{name}:{self.port}"

    @property
    def url(self) -> str:
        """The address for people and for the asynchronous client."""
        return f"unix:{self.socket_path}" if self.is_local else f"https://{self.authority}"

    def headers(self) -> dict[str, str]:
        """Headers that every request carries."""
        headers = {"Host": self.authority, "User-Agent": "lodge-client"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers

    def __repr__(self) -> str:
        return f"Address({self.url})"


def plain_fingerprint(text: str) -> str:
    """Bring a fingerprint to lower-case digits, as ``openssl x509 -fingerprint`` or we print it.

    Raises:
        InvalidAddressError: not the 64 hexadecimal digits of a SHA-256.
    """
    digits = text.strip().lower().removeprefix("sha256:").replace(":", "")
    if len(digits) != _FINGERPRINT_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise InvalidAddressError(
            f"{text!r} is not a SHA-256 fingerprint",
            where="fingerprint",
            hint="it has 64 hexadecimal digits, with or without colons",
        )
    return digits


def local_address(environment: Mapping[str, str] | None = None) -> Address:
    """Return this machine's daemon: ``LODGE_SOCKET``, or the default socket."""
    known = os.environ if environment is None else environment
    return Address(socket_path=known.get("LODGE_SOCKET") or DEFAULT_SOCKET)


def read_token(path: str) -> str:
    """Read a token from a file that nobody else can read.

    Raises:
        SecretFileError: the file is missing, empty, or open to group or others.
    """
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            secret = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFileError(f"cannot read the token in {path}: {error}", where=path) from error
    if mode & 0o077:
        raise SecretFileError(
            f"{path} holds a secret but is open to others (mode {mode & 0o777:04o})",
            where=path,
            hint=f"chmod 600 {path}",
        )
    if not secret or any(c.isspace() for c in secret):
        raise SecretFileError(f"{path} does not hold one token", where=path)
    return secret

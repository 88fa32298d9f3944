"""Open a blocking connection to a daemon: unix socket, or TLS with a pinned certificate."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from lodge.client.errors import (
    CertificateMismatchError,
    DaemonUnreachableError,
    SocketDeniedError,
)

if TYPE_CHECKING:
    import ssl

    from lodge.client.address import Address

__all__ = [
    "check_pin",
    "open_connection",
    "shown_fingerprint",
    "tls_context",
    "unreachable",
]


def open_connection(address: Address, *, timeout_s: float) -> socket.socket:
    """Connect; a certificate is judged before a single byte of a request is sent.

    Raises:
        DaemonUnreachableError: nobody listens there.
        SocketDeniedError: the socket is not for this user.
        CertificateMismatchError: the server is not the pinned one, or nobody vouches for it.
    """
    try:
        if address.socket_path is not None:
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.settimeout(timeout_s)
            try:
                link.connect(address.socket_path)
            except BaseException:
                link.close()
                raise
            return link
        bare = socket.create_connection((address.host, address.port), timeout=timeout_s)
    except OSError as error:
        raise unreachable(address, error) from error
    return _secure(address, bare)


def unreachable(address: Address, error: OSError) -> Exception:
    """Say in words why a daemon cannot be reached."""
    if isinstance(error, PermissionError):
        return SocketDeniedError(
            f"you may not open the daemon's socket {address.socket_path}",
            where=address.url,
        )
    if address.is_local:
        reason = (
            "there is no socket" if isinstance(error, FileNotFoundError) else "nobody listens at"
        )
        return DaemonUnreachableError(
            f"the daemon is not running: {reason} {address.socket_path}", where=address.url
        )
    reason = (
        "no answer in time" if isinstance(error, TimeoutError) else str(error.strerror or error)
    )
    return DaemonUnreachableError(
        f"cannot reach {address.url}: {reason}",
        where=address.url,
        hint="is lodged running there, and does a firewall let this port through?",
    )


def tls_context(address: Address) -> ssl.SSLContext:
    """Make the context for an address; with a pin, the pin alone decides (``check_pin``)."""
    import ssl

    context = ssl.create_default_context(cafile=address.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if address.fingerprint is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def check_pin(address: Address, certificate: bytes | None) -> None:
    """Compare the certificate shown (DER) with the pinned one.

    Raises:
        CertificateMismatchError: they differ.
    """
    import hashlib
    import hmac

    if address.fingerprint is None:
        return
    shown = hashlib.sha256(certificate or b"").hexdigest()
    if not hmac.compare_digest(shown, address.fingerprint):
        raise CertificateMismatchError(
            f"{address.url} shows a certificate with fingerprint {shown},"
            f" pinned is {address.fingerprint}",
            where=address.url,
        )


def _secure(address: Address, bare: socket.socket) -> socket.socket:
    import ssl

    try:
        secured = tls_context(address).wrap_socket(bare, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        bare.close()
        raise CertificateMismatchError(
            f"nobody vouches for the certificate of {address.url}: {error.verify_message}",
            where=address.url,
            hint="pin it: lodge remote add NAME URL --fingerprint FINGERPRINT"
            " (lodged tells it in its log when it starts)",
        ) from error
    except OSError as error:
        bare.close()
        raise unreachable(address, error) from error
    try:
        check_pin(address, secured.getpeercert(binary_form=True))
    except CertificateMismatchError:
        secured.close()
        raise
    return secured


def shown_fingerprint(address: Address, *, timeout_s: float = 10.0) -> str:
    """Return the SHA-256 of the certificate a server shows; nothing else is asked of it.

    Raises:
        DaemonUnreachableError: nobody listens there.
    """
    import hashlib
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address.host, address.port), timeout=timeout_s) as bare,
            context.wrap_socket(bare, server_hostname=address.host) as secured,
        ):
            return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError as error:
        raise unreachable(address, error) from error

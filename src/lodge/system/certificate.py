"""The daemon's own certificate: self-signed, made at the first start, trusted by fingerprint.

There is no authority behind it: clients compare the SHA-256 fingerprint that the host shows, or
use the certificate file itself as the only one they trust.
"""

import datetime
import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyroute2 import IPRoute

from lodge.system.errors import CertificateDamagedError
from lodge.system.files import make_folder, write_whole

__all__ = ["Certificate", "ensure_certificate", "local_names"]

VALID_DAYS = 3650
RENEW_DAYS = 30
_SKEW = datetime.timedelta(hours=1)
_LONGEST_COMMON_NAME = 64  # RFC 5280, ub-common-name


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where certificate and key are, and what a client compares (``AA:BB:...``, SHA-256)."""

    certificate: Path
    key: Path
    fingerprint: str
    expires_at: float


def ensure_certificate(folder: Path, names: Sequence[str], *, now: float) -> Certificate:
    """Return the certificate in ``folder``; make it when missing, renew it 30 days before its end.

    ``names`` are the host's names and addresses. A renewed certificate keeps the key, but has
    another fingerprint. Idempotent.

    Raises:
        CertificateDamagedError: it cannot be read, or the key belongs to another one.
        DiskFullError: there is no room to write it.
    """
    make_folder(folder, mode=0o700, uid=os.geteuid())
    certificate_path, key_path = folder / "server.crt", folder / "server.key"
    key = _read_key(key_path) if key_path.exists() else None
    if key is not None and certificate_path.exists():
        certificate = _read_certificate(certificate_path, key)
        if certificate.not_valid_after_utc.timestamp() - now > RENEW_DAYS * 86400:
            return _told(certificate, certificate_path, key_path)
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        write_whole(key_path, _key_bytes(key), mode=0o600)
    certificate = _sign(key, names, now)
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    write_whole(certificate_path, pem, mode=0o644)
    return _told(certificate, certificate_path, key_path)


def local_names() -> list[str]:
    """List the names and addresses by which this host may be called; asks no name server."""
    with IPRoute() as netlink:
        found = [message.get_attr("IFA_ADDRESS") for message in netlink.get_addr()]
    usable = {text for text in found if text and not ipaddress.ip_address(text).is_link_local}
    return list(dict.fromkeys([socket.gethostname(), "localhost", *sorted(usable)]))


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError as error:
        raise CertificateDamagedError(f"{path} is not a key: {error}", where=str(path)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateDamagedError(f"{path} is not an elliptic curve key", where=str(path))
    os.chmod(path, 0o600)
    return key


def _read_certificate(path: Path, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise CertificateDamagedError(
            f"{path} is not a certificate: {error}", where=str(path)
        ) from None
    if certificate.public_key() != key.public_key():
        raise CertificateDamagedError(f"{path} belongs to another key", where=str(path))
    return certificate


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _sign(key: ec.EllipticCurvePrivateKey, names: Sequence[str], now: float) -> x509.Certificate:
    start = datetime.datetime.fromtimestamp(now, datetime.UTC) - _SKEW
    common = (names[0] if names else "lodge")[:_LONGEST_COMMON_NAME]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=VALID_DAYS))
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.SubjectAlternativeName([_alternative(name) for name in names]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, critical=is_critical)
    return builder.sign(key, hashes.SHA256())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.encode("idna").decode())


def _told(certificate: x509.Certificate, path: Path, key: Path) -> Certificate:
    digest = certificate.fingerprint(hashes.SHA256()).hex().upper()
    shown = ":".join(digest[place : place + 2] for place in range(0, len(digest), 2))
    return Certificate(path, key, shown, certificate.not_valid_after_utc.timestamp())

"""Remote daemons: pinned certificates, private files, tokens that go nowhere else."""

import asyncio
import datetime
import hashlib
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import canned_records as records
import pytest
from canned_api import CannedApi, Served, served
from command_desk import Desk, stock
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lodge.base.errors import LodgeError
from lodge.client.address import Address, InvalidAddressError, local_address, read_token
from lodge.client.blocking import Client
from lodge.client.errors import (
    CertificateMismatchError,
    DaemonUnreachableError,
    SecretFileError,
)
from lodge.client.nonblocking import AsyncClient


@dataclass(frozen=True)
class Remote:
    """A daemon behind HTTPS."""

    api: CannedApi
    server: Served
    fingerprint: str
    certificate: Path

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"


def certificate(folder: Path) -> tuple[Path, Path, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lodge test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    der = made.public_bytes(serialization.Encoding.DER)
    return public, private, hashlib.sha256(der).hexdigest()


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[Remote]:
    public, private, fingerprint = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    api = CannedApi()
    stock(api)
    with served(api, tls=context) as server:
        yield Remote(api, server, fingerprint, public)


def add(desk: Desk, remote: Remote, tmp_path: Path, *more: str) -> None:
    token = tmp_path / "token"
    token.write_text("lodge_t1_secret\n")
    token.chmod(0o600)
    ran = desk.run("remote", "add", "lab", remote.url, "--token-file", str(token), *more)
    assert ran.status == 0, ran.err


def test_a_remote_is_asked_with_its_token_over_the_pinned_certificate(
    desk: Desk, remote: Remote, tmp_path: Path
) -> None:
    add(desk, remote, tmp_path, "--fingerprint", remote.fingerprint.upper())
    ran = desk.run("--host", "lab", "list", "--columns", "name", "--format", "csv")
    assert (ran.status, ran.err) == (0, "")
    assert "web1" in ran.out
    assert remote.api.asked[-1].headers["Authorization"] == "Bearer lodge_t1_secret"
    assert desk.api.asked == []


def test_the_kept_token_is_private_from_the_first_byte_and_never_shown(
    desk: Desk, remote: Remote, tmp_path: Path
) -> None:
    add(desk, remote, tmp_path, "--fingerprint", remote.fingerprint)
    file = tmp_path / ".config" / "lodge" / "remotes.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    for form in ("table", "json", "yaml", "csv"):
        ran = desk.run("remote", "list", "--columns", "all", "--format", form)
        assert ran.status == 0
        assert "secret" not in ran.out
    ran = desk.run("remote", "list", "--format", "json")
    assert "secret" not in ran.out


def test_another_certificate_gets_neither_request_nor_token(
    desk: Desk, remote: Remote, tmp_path: Path
) -> None:
    add(desk, remote, tmp_path, "--fingerprint", "0" * 64)
    ran = desk.run("--host", "lab", "list")
    assert ran.status == 5
    assert remote.fingerprint in ran.err
    assert remote.api.asked == []


def test_a_certificate_nobody_vouches_for_is_refused(
    desk: Desk, remote: Remote, tmp_path: Path
) -> None:
    add(desk, remote, tmp_path, "--system-ca")
    ran = desk.run("--host", "lab", "list")
    assert (ran.status, "nobody vouches" in ran.err) == (5, True)
    assert remote.api.asked == []


def test_an_authority_of_ones_own_is_trusted_for_its_names_only(
    remote: Remote,
) -> None:
    authority = str(remote.certificate)
    named = Address(host="localhost", port=remote.server.port, ca_file=authority)
    assert Client(named).hosts.show() == records.HOST
    numbered = Address(host="127.0.0.1", port=remote.server.port, ca_file=authority)
    with pytest.raises(CertificateMismatchError):
        Client(numbered).hosts.show()


@pytest.mark.parametrize("pin", ["right", "wrong", "none"])
def test_the_asynchronous_client_judges_certificates_alike(remote: Remote, pin: str) -> None:
    fingerprint = {"right": remote.fingerprint, "wrong": "0" * 64, "none": None}[pin]
    address = Address.from_url(remote.url, fingerprint=fingerprint, token="t")

    async def scenario() -> object:
        async with AsyncClient(address) as client:
            return await client.hosts.show()

    if pin == "right":
        assert asyncio.run(scenario()) == records.HOST
        return
    with pytest.raises(CertificateMismatchError):
        asyncio.run(scenario())
    assert remote.api.asked == []


def test_the_token_of_the_environment_goes_first(
    desk: Desk, remote: Remote, tmp_path: Path
) -> None:
    add(desk, remote, tmp_path, "--fingerprint", remote.fingerprint)
    desk.environment |= {"LODGE_TOKEN": "other", "LODGE_HOST": "lab"}
    assert desk.run("list").status == 0
    assert remote.api.asked[-1].headers["Authorization"] == "Bearer other"


def test_remotes_are_replaced_only_on_request_and_forgotten_whole(
    desk: Desk, remote: Remote, tmp_path: Path
) -> None:
    add(desk, remote, tmp_path, "--fingerprint", remote.fingerprint)
    again = ("remote", "add", "lab", remote.url, "--system-ca")
    assert desk.run(*again).status == 4
    assert desk.run(*again, "--replace").status == 0
    assert desk.run("remote", "remove", "lab").status == 0
    assert desk.run("remote", "remove", "lab").status == 3
    assert "secret" not in (tmp_path / ".config" / "lodge" / "remotes.json").read_text()
    assert desk.run("--host", "lab", "list").status == 3


def test_an_unreachable_remote_is_told_with_its_address(desk: Desk, remote: Remote) -> None:
    remote.server.stop()
    with pytest.raises(DaemonUnreachableError, match=remote.url):
        Client(Address.from_url(remote.url, fingerprint="0" * 64)).hosts.show()


@pytest.mark.parametrize(
    "url",
    ["http://x", "https://", "x", "https://x/path", "https://x:99999", "https://[::1", ""],
)
def test_wrong_addresses_are_refused(url: str) -> None:
    with pytest.raises(InvalidAddressError):
        Address.from_url(url)


def test_addresses_of_all_kinds_are_read() -> None:
    assert Address.from_url("https://[::1]:9").authority == "[::1]:9"
    assert Address.from_url("https://lab").url == "https://lab:8443"
    assert Address.from_url("unix:/run/x.sock").socket_path == "/run/x.sock"
    assert local_address({"LODGE_SOCKET": "/x"}).socket_path == "/x"
    assert "secret" not in repr(Address(host="h", token="secret"))


@pytest.mark.parametrize(("content", "mode"), [("a b", 0o600), ("", 0o600), ("ok", 0o640)])
def test_a_token_file_must_hold_one_token_and_be_private(
    tmp_path: Path, content: str, mode: int
) -> None:
    file = tmp_path / "t"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(SecretFileError) as refused:
        read_token(str(file))
    assert isinstance(refused.value, LodgeError)


def test_a_missing_token_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SecretFileError):
        read_token(str(tmp_path / "none"))


def test_the_file_of_remotes_is_plain_json(desk: Desk, remote: Remote, tmp_path: Path) -> None:
    add(desk, remote, tmp_path, "--fingerprint", remote.fingerprint)
    content = json.loads((tmp_path / ".config" / "lodge" / "remotes.json").read_text())
    assert content["remotes"]["lab"]["fingerprint"] == remote.fingerprint

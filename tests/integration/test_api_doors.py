"""The API's doors as strangers meet them: TLS, tokens, broken HTTP, floods, other users."""

import asyncio
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from api_lab import Lab, running_api, view

from lodge.api.errors import EndpointInUseError
from lodge.api.server import ApiServer, ApiSettings
from lodge.base.world import RealWorld
from lodge.model.task import Actor
from lodge.model.token import Scope, TokenCreate
from lodge.system.certificate import Certificate, ensure_certificate, local_names
from lodge.system.errors import CertificateDamagedError

ROOT = Actor(name="root")


def https(certificate: Certificate, **changes: Any) -> Any:
    def change(settings: ApiSettings) -> ApiSettings:
        return replace(
            settings,
            listen=(("127.0.0.1", 0),),
            certificate=certificate.certificate,
            key=certificate.key,
            **changes,
        )

    return change


@asynccontextmanager
async def https_lab(folder: Path, **changes: Any) -> AsyncIterator[tuple[Lab, str, Any]]:
    """A lab with an HTTPS door: its address and a client's TLS settings that trust it only."""
    certificate = ensure_certificate(folder / "tls", ["localhost", "127.0.0.1"], now=now())
    trust = ssl.create_default_context(cafile=str(certificate.certificate))
    async with running_api(change=https(certificate, **changes)) as lab:
        lab.instances.add(view("web1", 1))
        ((_, port),) = lab.server.addresses
        yield lab, f"https://localhost:{port}", trust


def now() -> float:
    return RealWorld().now()


async def ask(
    lab: Lab, url: str, trust: Any, method: str = "GET", secret: str = "", **options: Any
) -> tuple[int, Any, Any]:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, ssl=trust, headers=headers, **options) as answer,
    ):
        data = await answer.read()
        return answer.status, json.loads(data) if data else None, answer.headers


def test_a_client_that_trusts_only_the_certificate_gets_in_with_a_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with https_lab(tmp_path) as (lab, url, trust):
            _, secret = await lab.access.create_token(TokenCreate(name="ci"), ROOT)
            status, body, _ = await ask(lab, f"{url}/v1", trust, secret=secret)
            assert (status, body["name"], body["scope"]) == (200, "ci", "read")
            status, body, _ = await ask(lab, f"{url}/v1", trust)
            assert (status, body["is_authenticated"]) == (200, False)

    asyncio.run(scenario())


def test_each_scope_opens_what_it_should_and_nothing_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with https_lab(tmp_path) as (lab, url, trust):
            asked = (
                ("GET", "/v1/instances", Scope.READ, {}),
                ("POST", "/v1/instances/web1/stop", Scope.WRITE, {}),
                ("GET", "/v1/instances/web1/console", Scope.WRITE, {}),
                ("GET", "/v1/audit", Scope.ADMIN, {}),
                ("POST", "/v1/pools", Scope.ADMIN, {"json": {"name": "p"}}),
                ("POST", "/v1/images", Scope.ADMIN, {"json": {"source": "/etc/shadow"}}),
            )
            for scope in Scope:
                _, secret = await lab.access.create_token(TokenCreate(name="t", scope=scope), ROOT)
                for method, path, needed, options in asked:
                    status, body, _ = await ask(lab, url + path, trust, method, secret, **options)
                    assert (status == 403) == (not scope.includes(needed)), (scope, path)
                    if status == 403:
                        assert body["error"]["code"] == "scope_too_small"
            status, body, headers = await ask(lab, f"{url}/v1/instances", trust)
            assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="lodge"')
            assert any(one.result == "scope_too_small" for one in lab.audit.list())

    asyncio.run(scenario())


def test_a_flood_of_wrong_tokens_is_told_to_wait(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with https_lab(tmp_path) as (lab, url, trust):
            wrong = "lodge_000000000000_" + "A" * 43
            statuses = []
            for _ in range(8):
                status, _, headers = await ask(lab, f"{url}/v1", trust, secret=wrong)
                statuses.append(status)
            assert statuses[0] == 401
            assert statuses[-1] == 429
            assert int(headers["Retry-After"]) >= 1
            assert (await lab.ask("GET", "/v1"))[0] == 200

    asyncio.run(scenario())


def test_old_tls_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with https_lab(tmp_path) as (_, url, _trust):
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            with pytest.warns(DeprecationWarning, match="TLSv1"):
                old.minimum_version = ssl.TLSVersion.TLSv1
            with pytest.warns(DeprecationWarning, match="TLSv1"):
                old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
            port = int(url.rpartition(":")[2])
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", port, ssl=old)

    asyncio.run(scenario())


async def talk(lab: Lab, data: bytes, *, size: int = 65536) -> bytes:
    """Send raw bytes to the socket and read what comes until the other side closes."""
    reader, writer = await asyncio.open_unix_connection(str(lab.socket))
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            return await reader.read(size)
    finally:
        writer.close()


BROKEN = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"hello\r\n\r\n",
    b"GET /v1\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
    b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 300 + b"\r\n",
    b"POST /v1/images HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/images HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    b"POST /v1 HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
]


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: repr(data[:30]))
def test_what_is_no_http_is_answered_in_json_and_never_repeated(data: bytes) -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            answer = await talk(lab, data)
            head, _, body = answer.partition(b"\r\n\r\n")
            assert b" 400 " in head.splitlines()[0], head
            assert json.loads(body)["error"]["code"] == "malformed_request"
            assert (await lab.ask("GET", "/v1"))[0] == 200

    asyncio.run(scenario())


def test_a_broken_chunk_is_the_callers_fault() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            head = (
                b"POST /v1/images HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n"
            )
            answer = await talk(lab, head + b"zz\r\nxx\r\n")
            assert b" 400 " in answer.splitlines()[0]

    asyncio.run(scenario())


def test_who_sends_a_request_too_slowly_is_cut_off() -> None:
    def hasty(settings: ApiSettings) -> ApiSettings:
        return replace(settings, header_s=0.2, stall_s=0.2)

    async def scenario() -> None:
        async with running_api(change=hasty) as lab:
            assert await talk(lab, b"") == b""
            assert await talk(lab, b"GET /v1 HTTP/1.1\r\nHost: a\r\nX-Slow: ") == b""
            head = b"POST /v1/images HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            answer = await talk(lab, head + b"Content-Length: 100\r\n\r\n{")
            assert b" 408 " in answer.splitlines()[0]

    asyncio.run(scenario())


def test_a_body_is_invited_only_when_it_is_wanted() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            head = b"Host: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
            kind = b"Content-Type: application/json\r\n\r\n"
            ask = b"POST /v1/nope HTTP/1.1\r\n" + head + kind
            assert b" 404 " in (await talk(lab, ask)).splitlines()[0]
            reader, writer = await asyncio.open_unix_connection(str(lab.socket))
            writer.write(b"POST /v1/instances HTTP/1.1\r\n" + head + kind)
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"{}")
            assert b" 422 " in await reader.readline()
            writer.close()

    asyncio.run(scenario())


def test_too_many_connections_are_told_so_and_root_still_gets_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with https_lab(tmp_path, most_per_peer=3) as (lab, url, trust):
            port = int(url.rpartition(":")[2])
            held = [await asyncio.open_connection("localhost", port, ssl=trust) for _ in range(3)]
            reader, writer = await asyncio.open_connection("localhost", port, ssl=trust)
            async with asyncio.timeout(5):
                answer = await reader.read()
            assert b"503 Service Unavailable" in answer
            assert b"too_busy" in answer
            assert (await lab.ask("GET", "/v1"))[0] == 200
            for _, one in [*held, (reader, writer)]:
                one.close()
            async with asyncio.timeout(5):
                while lab.server._protocols[1].connections:
                    await asyncio.sleep(0.001)
            assert (await ask(lab, f"{url}/v1", trust))[0] == 200

    asyncio.run(scenario())


def test_the_socket_is_for_root_alone() -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            assert stat.S_IMODE(lab.socket.stat().st_mode) == 0o600

    asyncio.run(scenario())


@pytest.mark.root
def test_another_user_who_reaches_the_socket_all_the_same_is_refused() -> None:
    program = (
        "import http.client, os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX)\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "s.connect(sys.argv[1])\n"
        "s.sendall(b'GET /v1 HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n')\n"
        "print(s.recv(65536).decode())\n"
    )

    async def scenario() -> None:
        async with running_api() as lab:
            os.chmod(lab.folder, 0o755)
            os.chmod(lab.socket, 0o666)
            ran = await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", program, str(lab.socket)],
                capture_output=True,
                text=True,
                check=False,
                timeout=30,
            )
            assert "403" in ran.stdout.splitlines()[0], ran.stderr
            assert "not_root" in ran.stdout

    asyncio.run(scenario())


def test_a_taken_port_is_named_and_nothing_stays_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        certificate = ensure_certificate(tmp_path / "tls", ["localhost"], now=now())
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with running_api() as lab:
                settings = ApiSettings(
                    socket=tmp_path / "other.sock",
                    lodge_version="0",
                    listen=(("127.0.0.1", port),),
                    certificate=certificate.certificate,
                    key=certificate.key,
                )
                server = ApiServer(lab.services, settings, RealWorld())
                with pytest.raises(EndpointInUseError, match=str(port)):
                    await server.start()
                assert not settings.socket.exists()

    asyncio.run(scenario())


def test_a_socket_somebody_serves_is_not_taken_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_api() as lab:
            settings = ApiSettings(socket=lab.socket, lodge_version="0")
            with pytest.raises(EndpointInUseError):
                await ApiServer(lab.services, settings, RealWorld()).start()
            assert (await lab.ask("GET", "/v1"))[0] == 200
            dead = tmp_path / "dead.sock"
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(str(dead))
            server = ApiServer(
                lab.services, ApiSettings(socket=dead, lodge_version="0"), RealWorld()
            )
            await server.start()
            await server.stop()
            await server.stop()
            assert not dead.exists()

    asyncio.run(scenario())


def test_the_certificate_is_made_once_with_a_private_key(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path / "tls", ["host1", "127.0.0.1", "::1"], now=now())
    again = ensure_certificate(tmp_path / "tls", ["host2"], now=now())
    assert first == again
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert first.fingerprint.count(":") == 31
    pem = first.certificate.read_text()
    shown = ssl.PEM_cert_to_DER_cert(pem)
    assert b"host1" in shown


def test_the_certificate_is_renewed_before_its_end_with_the_same_key(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, ["host1"], now=now())
    key = first.key.read_bytes()
    later = ensure_certificate(tmp_path, ["host1"], now=first.expires_at - 86400)
    assert later.fingerprint != first.fingerprint
    assert later.expires_at > first.expires_at
    assert later.key.read_bytes() == key


@pytest.mark.parametrize("name", ["server.crt", "server.key"])
def test_a_damaged_certificate_is_not_silently_replaced(tmp_path: Path, name: str) -> None:
    ensure_certificate(tmp_path, ["host1"], now=now())
    (tmp_path / name).write_bytes(b"-----BEGIN NOTHING-----")
    with pytest.raises(CertificateDamagedError):
        ensure_certificate(tmp_path, ["host1"], now=now())


def test_a_certificate_of_another_key_is_told(tmp_path: Path) -> None:
    one = ensure_certificate(tmp_path / "a", ["host1"], now=now())
    other = ensure_certificate(tmp_path / "b", ["host1"], now=now())
    one.certificate.write_bytes(other.certificate.read_bytes())
    with pytest.raises(CertificateDamagedError, match="another key"):
        ensure_certificate(tmp_path / "a", ["host1"], now=now())


def test_the_hosts_own_names_hold_its_name_and_loopback() -> None:
    found = local_names()
    assert found[0] == socket.gethostname()
    assert "localhost" in found

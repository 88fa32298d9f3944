"""Callers with a small token who want to see or reach more than it says."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from api_lab import Lab, running_api, view

from lodge.base.world import RealWorld
from lodge.model.instance import CloudInitSpec, InstanceSpec
from lodge.model.profile import ProfileSpec
from lodge.model.task import Actor
from lodge.model.token import Scope, TokenCreate
from lodge.system.certificate import ensure_certificate

ROOT = Actor(name="root", via="socket")
SECRET = "correct horse battery staple"
SPEC = InstanceSpec(
    cloud_init=CloudInitSpec(
        user_data=f"#cloud-config\npassword: {SECRET}\n",
        vendor_data=SECRET,
        network_config=SECRET,
        ssh_keys=("ssh-ed25519 AAAA me",),
    )
)

Ask = Callable[..., Awaitable[tuple[int, str]]]


def as_holder_of(
    scope: Scope, folder: Path, scenario: Callable[[Lab, Ask], Awaitable[None]]
) -> None:
    """Run a scenario whose requests come over HTTPS with a token of this scope."""
    certificate = ensure_certificate(folder / "tls", ["localhost"], now=RealWorld().now())
    trust = ssl.create_default_context(cafile=str(certificate.certificate))

    async def run() -> None:
        async with running_api(
            change=lambda settings: replace(
                settings,
                listen=(("127.0.0.1", 0),),
                certificate=certificate.certificate,
                key=certificate.key,
            )
        ) as lab:
            ((_, port),) = lab.server.addresses
            _, token = await lab.access.create_token(TokenCreate(name="t", scope=scope), ROOT)
            headers = {"Authorization": f"Bearer {token}"}

            async def ask(method: str, path: str, **options: Any) -> tuple[int, str]:
                url = f"https://localhost:{port}/v1{path}"
                async with session.request(method, url, ssl=trust, **options) as answer:
                    return answer.status, await answer.text()

            async with aiohttp.ClientSession(headers=headers) as session:
                await scenario(lab, ask)

    asyncio.run(run())


async def fill(lab: Lab) -> None:
    lab.instances.add(view("web1", 1, spec=SPEC))
    await lab.services.profiles.put(
        "p", ProfileSpec(cloud_init=SPEC.cloud_init), ROOT, revision=None
    )
    task = lab.tasks.begin("instance.create", "instances/web1", ROOT)
    params = {"name": "web1", "spec": msgspec.to_builtins(SPEC)}
    lab.tasks.known[task.id] = msgspec.structs.replace(task, params=params)


READS = ("/instances", "/instances/web1", "/profiles", "/profiles/p", "/tasks", "/tasks/t000001")


def test_who_may_only_read_sees_no_cloud_init_documents(tmp_path: Path) -> None:
    async def scenario(lab: Lab, ask: Ask) -> None:
        await fill(lab)
        for path in READS:
            status, text = await ask("GET", path)
            assert status == 200
            assert SECRET not in text, path
            assert "hidden (" in text, path
            assert "ssh-ed25519 AAAA me" in text

    as_holder_of(Scope.READ, tmp_path, scenario)


def test_filters_answer_no_questions_about_what_is_hidden(tmp_path: Path) -> None:
    async def scenario(lab: Lab, ask: Ask) -> None:
        await fill(lab)
        for path, field in (
            ("/instances", "spec.cloud_init.user_data"),
            ("/profiles", "spec.cloud_init.vendor_data"),
            ("/tasks", "params.spec.cloud_init.user_data"),
        ):
            status, text = await ask("GET", path, params={"filter": f"{field}~horse"})
            assert (status, msgspec.json.decode(text)["total"]) == (200, 0)

    as_holder_of(Scope.READ, tmp_path, scenario)


def test_who_may_write_sees_the_documents_but_not_again_in_tasks(tmp_path: Path) -> None:
    async def scenario(lab: Lab, ask: Ask) -> None:
        await fill(lab)
        for path in READS:
            status, text = await ask("GET", path)
            assert status == 200
            assert (SECRET in text) == (not path.startswith("/tasks")), path

    as_holder_of(Scope.WRITE, tmp_path, scenario)


def test_a_changed_record_is_veiled_anew(tmp_path: Path) -> None:
    async def scenario(lab: Lab, ask: Ask) -> None:
        lab.instances.add(view("web1", 1, spec=SPEC))
        await ask("GET", "/instances/web1")
        longer = msgspec.structs.replace(SPEC.cloud_init, user_data="#!" + SECRET * 9)
        changed = msgspec.structs.replace(SPEC, cloud_init=longer)
        lab.instances.add(view("web1", 1, spec=changed))
        _, text = await ask("GET", "/instances/web1")
        assert f"hidden ({2 + 9 * len(SECRET)} bytes)" in text
        assert SECRET not in text

    as_holder_of(Scope.READ, tmp_path, scenario)


def test_the_daemon_fetches_only_what_the_catalogue_names_for_who_may_write(
    tmp_path: Path,
) -> None:
    async def scenario(lab: Lab, ask: Ask) -> None:
        for source in (
            "http://127.0.0.1:9/x",
            "HTTPS://inside.example/x",
            "file:///x",
            "/x",
            "./x",
        ):
            status, text = await ask("POST", "/images", json={"source": source})
            assert status == 403, source
            assert "scope_too_small" in text
        status, _ = await ask("POST", "/images", json={"source": "debian-12"})
        assert status in (200, 202)

    as_holder_of(Scope.WRITE, tmp_path, scenario)

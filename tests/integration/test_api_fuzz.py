"""The API against its own description: no answer 5xx, none that the description does not know."""

import asyncio
import subprocess
import sys
from pathlib import Path

import fuzz_lab
import pytest
from api_lab import running_api, view

from lodge.base.world import RealWorld
from lodge.model.task import Actor
from lodge.model.token import Scope, TokenCreate
from lodge.system.certificate import ensure_certificate


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_request_makes_the_api_break_its_description(tmp_path: Path) -> None:
    async def scenario() -> subprocess.CompletedProcess[str]:
        certificate = ensure_certificate(tmp_path, ["localhost"], now=RealWorld().now())
        async with running_api(change=fuzz_lab.https_door(certificate)) as lab:
            lab.instances.add(*(view(f"web{number}", number) for number in range(3)))
            creation = TokenCreate(name="fuzz", scope=Scope.ADMIN)
            _, secret = await lab.access.create_token(creation, Actor(name="root"))
            ((_, port),) = lab.server.addresses
            return await fuzz_lab.fuzz(
                f"https://localhost:{port}",
                certificate.certificate,
                secret,
                tmp_path,
                seconds=45,
                seed=1,
            )

    ran = asyncio.run(scenario())
    assert ran.returncode == 0, fuzz_lab.told(ran)


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_request_makes_the_whole_product_break_the_description(tmp_path: Path) -> None:
    """In a network of its own: a request may ask for an image from anywhere."""
    program = f"{sys.executable} {fuzz_lab.__file__} {tmp_path} 60 1"
    ran = subprocess.run(
        ["unshare", "--net", "sh", "-c", f"ip link set lo up && exec {program}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stdout[-20000:] + ran.stderr[-4000:]

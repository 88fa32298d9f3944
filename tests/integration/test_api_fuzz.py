"""The API against its own description: no answer 5xx, none that the description does not know."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from api_lab import running_api, view
from fuzz_lab import fuzz_arguments, https_door

from lodge.base.world import RealWorld
from lodge.model.task import Actor
from lodge.model.token import Scope, TokenCreate
from lodge.system.certificate import ensure_certificate


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_request_makes_the_api_break_its_description(tmp_path: Path) -> None:
    async def scenario() -> subprocess.CompletedProcess[str]:
        certificate = ensure_certificate(tmp_path / "tls", ["localhost"], now=RealWorld().now())
        async with running_api(change=https_door(certificate)) as lab:
            lab.instances.add(*(view(f"web{number}", number) for number in range(3)))
            creation = TokenCreate(name="fuzz", scope=Scope.ADMIN)
            _, secret = await lab.access.create_token(creation, Actor(name="root"))
            ((_, port),) = lab.server.addresses
            arguments = fuzz_arguments(
                f"https://localhost:{port}", certificate, secret, seconds=45, seed=1
            )
            return await asyncio.to_thread(
                subprocess.run,
                [str(Path(sys.executable).with_name("schemathesis")), *arguments],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
                timeout=200,
            )

    ran = asyncio.run(scenario())
    assert ran.returncode == 0, "\n".join(line[:300] for line in ran.stdout.splitlines()[-300:])

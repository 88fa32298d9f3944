"""How the API is fuzzed: over fakes of its services, or over the whole product with fake drivers.

Run as a program (in a network namespace with loopback only) it does the latter:
``unshare --net sh -c 'ip link set lo up && python tests/lab/fuzz_lab.py FOLDER SECONDS SEED'``
"""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp

from lodge.api.server import ApiSettings
from lodge.base.world import RealWorld
from lodge.daemon.daemon import Daemon
from lodge.daemon.settings import DaemonSettings
from lodge.system.certificate import Certificate

CONFIGURATION = """
[parameters]
wait = 0

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx"]
"""
"""A wait may last an hour, as it should; here nobody has the time."""

LEFT_OUT = (
    "ignored_auth",  # floods the limit on wrong tokens, as it should; tested by hand
    "positive_data_acceptance",  # a well-formed name may still be taken, reserved or unknown
)

NOT_ON_A_REAL_HOST = (
    "pools.create",  # makes folders wherever it is told to
    "images.build",  # installs packages for minutes
)


def https_door(certificate: Certificate) -> Callable[[ApiSettings], ApiSettings]:
    """Open an HTTPS door on a free port of loopback, with the patience of a test."""

    def change(settings: ApiSettings) -> ApiSettings:
        return replace(
            settings,
            listen=(("127.0.0.1", 0),),
            certificate=certificate.certificate,
            key=certificate.key,
            stall_s=5.0,
        )

    return change


async def fuzz(
    url: str,
    certificate: Path,
    secret: str,
    folder: Path,
    *,
    seconds: int,
    seed: int,
    left_out: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against an API for so long."""
    configuration = folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    arguments = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={configuration}",
        "run",
        f"{url}/v1/openapi.json",
        f"--tls-verify={certificate}",
        f"--header=Authorization: Bearer {secret}",
        "--phases=examples,coverage,fuzzing",
        f"--max-time={seconds}",
        f"--exclude-checks={','.join(LEFT_OUT)}",
        "--request-timeout=20",
        f"--seed={seed}",
        "--warnings=off",
        "--no-color",
        *(f"--exclude-operation-id={name}" for name in left_out),
    ]
    return await asyncio.to_thread(
        subprocess.run,
        arguments,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 120,
    )


def told(ran: subprocess.CompletedProcess[str]) -> str:
    """What schemathesis said, with its long lines cut."""
    return "\n".join(line[:300] for line in ran.stdout.splitlines()[-300:])


async def fuzz_product(
    folder: Path, *, seconds: int, seed: int
) -> subprocess.CompletedProcess[str]:
    """Fuzz a whole daemon with fake drivers."""
    settings = DaemonSettings(
        state_dir=folder / "state",
        run_dir=folder / "run",
        config_file=folder / "lodge.toml",
        listen_port=0,
        driver="fake",
    )
    daemon = await Daemon.open(settings, RealWorld())
    try:
        await daemon.start()
        connector = aiohttp.UnixConnector(str(settings.socket))
        async with aiohttp.ClientSession(connector=connector) as session:
            token = {"name": "fuzz", "scope": "admin"}
            async with session.post("http://lodge/v1/tokens", json=token) as answer:
                secret = (await answer.json())["secret"]
        (port,) = re.findall(r"https://127\.0\.0\.1:(\d+)", daemon.where())
        return await fuzz(
            f"https://127.0.0.1:{port}",
            settings.state_dir / "tls" / "server.crt",
            secret,
            folder,
            seconds=seconds,
            seed=seed,
            left_out=NOT_ON_A_REAL_HOST,
        )
    finally:
        await daemon.close()


if __name__ == "__main__":
    done = asyncio.run(
        fuzz_product(Path(sys.argv[1]), seconds=int(sys.argv[2]), seed=int(sys.argv[3]))
    )
    print(told(done))
    sys.exit(done.returncode)

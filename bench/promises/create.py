"""Promise 4: create a VM from an image, linked and not started, whatever the image's size.

From the request until the answer that the task is done; once with the tiny image (256 MB) and once
with a raw image of 64 GB virtual size (almost all of it holes). Beside them ``qemu-img create -b``
as a program, which makes only the disk.
"""

import os
import subprocess
import time
from pathlib import Path

from bench.figure import Figure
from bench.host import Api, SimulatedHost, bench_host, milliseconds_since

__all__ = ["measure"]

_LIMIT_MS = 50
_LARGE_BYTES = 64 << 30


def measure(runs: int) -> list[Figure]:
    """Create and delete one VM of each image in every round."""
    small: list[float] = []
    large: list[float] = []
    tool: list[float] = []
    with bench_host(images=["tiny"]) as host:
        api = Api(host)
        _add_large_image(host, api)
        base = next((host.state / "images").glob("*/disk.qcow2"))
        for number in range(runs + 1):
            times = (_create(api, "tiny"), _create(api, "large"), _qemu_img(host.folder, base))
            if number:  # the first round warms caches up
                for series, spent in zip((small, large, tool), times, strict=True):
                    series.append(spent)
    return [
        Figure(4, "create, linked: image of 256 MB", "ms", small, _LIMIT_MS),
        Figure(4, "create, linked: image of 64 GB", "ms", large, _LIMIT_MS),
        Figure(4, "qemu-img create -b alone", "ms", tool),
    ]


def _add_large_image(host: SimulatedHost, api: Api) -> None:
    """Import a qcow2 file that is 64 GB large inside and almost nothing outside."""
    source = host.folder / "large.qcow2"
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", str(source), str(_LARGE_BYTES)]
    subprocess.run(argv, check=True)
    api.task("POST", "/images", {"source": str(source), "alias": "large"})


def _create(api: Api, image: str) -> float:
    body = {"name": "one", "image": image, "memory_mib": 256, "starts": False}
    spent = api.timed_task("POST", "/instances", body)
    api.task("DELETE", "/instances/one")
    return spent


def _qemu_img(folder: Path, base: Path) -> float:
    overlay = folder / "overlay.qcow2"
    begun = time.perf_counter()
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(overlay)]
    subprocess.run(argv, check=True, env={"PATH": os.environ["PATH"]})
    spent = milliseconds_since(begun)
    overlay.unlink()
    return spent

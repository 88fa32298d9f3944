"""Images built once and shared by the tests that boot them.

``LODGE_TEST_CACHE`` names a folder that keeps them over runs; else they live as long as the run.
"""

import asyncio
import atexit
import fcntl
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from lodge.base.world import RealWorld
from lodge.drivers.builder.registry import load_builder

FILES = ("disk.qcow2", "vmlinuz", "initrd", "vmlinux")


@cache
def _folder() -> Path:
    kept = os.environ.get("LODGE_TEST_CACHE")
    if kept:
        Path(kept).mkdir(parents=True, exist_ok=True)
        return Path(kept)
    folder = Path(tempfile.mkdtemp(prefix="lodge-images-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def built_image(recipe: str) -> Path:
    """Return the folder of an image; built by the first who asks, also among several runs."""
    folder = _folder() / recipe
    with (_folder() / f"{recipe}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((folder / name).exists() for name in FILES):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            builder = load_builder(recipe, RealWorld())
            asyncio.run(builder.build(recipe, folder, lambda _done, _total, _note: None))
    return folder

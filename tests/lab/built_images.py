"""Images built once by the product's own builders, and shared by all tests that need one.

``LODGE_TEST_CACHE`` names a folder that keeps them over runs; else a temporary folder of this user
does. They are kept by recipe and by the source of the builders: a changed builder builds again.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lodge.base.world import RealWorld
from lodge.drivers.builder.contract import BuiltImage
from lodge.drivers.builder.registry import load_builder

_BUILDERS = Path(sys.modules["lodge.drivers.builder.contract"].__file__ or "").parent
_FACTS = "built.json"


def cache() -> Path:
    named = os.environ.get("LODGE_TEST_CACHE")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / f"lodge-test-{os.getuid()}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _key(recipe: str) -> str:
    digest = hashlib.sha256(recipe.encode())
    for path in sorted(_BUILDERS.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md":
            digest.update(path.read_bytes())
    return f"{recipe}-{digest.hexdigest()[:16]}"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def built(recipe: str) -> tuple[Path, BuiltImage]:
    """The folder of a built image and what is known of it; built now if it never was."""
    folder = cache() / _key(recipe)
    with _alone(cache() / f"{recipe}.lock"):
        if not (folder / _FACTS).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o755)
            result = _build(recipe, folder)
            kept = {path for path in files_of(result).values() if path is not None}
            for path in folder.iterdir():
                if path not in kept:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                else:
                    path.chmod(0o644)  # guests have users of their own
            (folder / _FACTS).write_bytes(msgspec.json.encode(result, enc_hook=str))
    facts = (folder / _FACTS).read_bytes()
    return folder, msgspec.json.decode(facts, type=BuiltImage, dec_hook=lambda _, text: Path(text))


def files_of(image: BuiltImage) -> dict[str, Path | None]:
    return {name: getattr(image, name) for name in ("disk", "kernel", "initrd", "vmlinux")}


def _build(recipe: str, folder: Path) -> BuiltImage:
    """Build with the daemon's umask, and on a loop of its own: a test may have one running."""
    builder = load_builder(recipe, RealWorld())
    before = os.umask(0o077)
    try:
        with ThreadPoolExecutor(1) as thread:
            work = builder.build(recipe, folder, lambda *_: None)
            return thread.submit(asyncio.run, work).result()
    finally:
        os.umask(before)


def built_image(recipe: str) -> Path:
    """The folder of a built image: disk.qcow2, vmlinuz, initrd, vmlinux."""
    return built(recipe)[0]

"""Builds at once: an empty disk and files that only look like kernels."""

from pathlib import Path
from typing import ClassVar

from lodge.base.units import MIB
from lodge.base.world import World
from lodge.drivers.builder.contract import BuildProgress, BuiltImage
from lodge.drivers.builder.errors import BuildFailedError
from lodge.drivers.builder.fake.faults import Faults
from lodge.drivers.builder.fake.render import empty_qcow2
from lodge.model.host import Capability, CapabilityState

__all__ = ["FakeBuilder"]

_SIZE_BYTES = 16 * MIB


class FakeBuilder:
    """Keeps the builder contract without any tool; see ``faults`` for what it can be told."""

    name: ClassVar[str] = "fake"
    recipes: ClassVar[tuple[str, ...]] = ("tiny", "debian-12", "debian-13")

    def __init__(self, world: World, faults: Faults | None = None) -> None:
        self._world = world
        self.faults = faults or Faults()
        self.builds = 0

    async def check(self, _recipe: str, /) -> list[Capability]:
        """List one tool, found unless it was told to miss it."""
        state = CapabilityState.MISSING if self.faults.lacks_tool else CapabilityState.OK
        return [
            Capability(
                name="build tool hammer",
                state=state,
                found="" if self.faults.lacks_tool else "/bin/hammer",
                fix="apt-get install hammer",
                is_required=True,
            )
        ]

    async def build(self, recipe: str, work: Path, progress: BuildProgress, /) -> BuiltImage:
        """Write the files; each build has other content when it was told so."""
        self.builds += 1
        progress(10, 100, "pretending")
        (work / "half").write_bytes(b"half")
        if self.faults.fails_with is not None:
            raise BuildFailedError(self.faults.fails_with)
        if self.faults.hangs is not None:
            await self.faults.hangs.wait()
        return _write(recipe, work, self.builds if self.faults.differs else 0)


def _write(recipe: str, work: Path, serial: int) -> BuiltImage:
    (work / "disk.qcow2").write_bytes(empty_qcow2(_SIZE_BYTES, serial))
    for name in ("vmlinuz", "initrd", "vmlinux"):
        (work / name).write_bytes(f"not really a {name}\n".encode())
    return BuiltImage(
        disk=work / "disk.qcow2",
        kernel=work / "vmlinuz",
        initrd=work / "initrd",
        vmlinux=work / "vmlinux",
        os=recipe,
        description=f"Fake {recipe}",
        default_user="nobody",
        command_line="console=ttyS0",
        has_cloud_init=recipe != "tiny",
        has_agent=True,
        min_memory_mib=64,
    )

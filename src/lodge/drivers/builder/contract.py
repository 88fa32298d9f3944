"""What an image builder must do: turn distribution packages into a bootable disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from lodge.model.host import Capability

__all__ = ["BuildProgress", "BuiltImage", "ImageBuilder"]

BuildProgress = Callable[[int, int | None, str], None]
"""Called with (done, total, note); the unit is percent."""


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """What a build left in its work folder; null files were not made."""

    disk: Path  # qcow2
    kernel: Path | None
    initrd: Path | None
    vmlinux: Path | None
    os: str
    description: str
    default_user: str
    command_line: str
    has_cloud_init: bool
    has_agent: bool
    min_memory_mib: int


class ImageBuilder(Protocol):
    """Build the images of some recipes. A build that is interrupted leaves only its work folder."""

    name: ClassVar[str]
    recipes: ClassVar[tuple[str, ...]]

    async def check(self, recipe: str, /) -> list[Capability]:
        """List the tools this recipe needs, found or missing."""
        ...

    async def build(self, recipe: str, work: Path, progress: BuildProgress, /) -> BuiltImage:
        """Build in the (empty) work folder."""
        ...

"""Images: immutable sources of new volumes, named by fingerprint; the catalogue."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from lodge.model.record import Record, Spec

__all__ = ["CatalogueEntry", "Image", "ImageAdd", "ImageBuild", "ImageFormat", "ImageOrigin"]


class ImageFormat(StrEnum):
    """Disk formats that can be imported; inside Lodge every image is qcow2."""

    QCOW2 = "qcow2"
    RAW = "raw"
    VMDK = "vmdk"
    VDI = "vdi"
    VPC = "vpc"
    VHDX = "vhdx"


class ImageOrigin(StrEnum):
    """Where an image came from."""

    BUILT = "built"
    DOWNLOADED = "downloaded"
    IMPORTED = "imported"


class Image(Record, frozen=True, kw_only=True):
    """One immutable image. ``fingerprint`` is the SHA-256 of its converted qcow2 file.

    ``has_kernel`` says that a kernel and an initrd lie beside it for direct boot;
    ``has_cloud_init`` and ``has_agent`` say what the guest can do.
    """

    fingerprint: str
    aliases: tuple[str, ...]
    description: str
    os: str
    architecture: str
    origin: ImageOrigin
    source: str
    virtual_bytes: int
    file_bytes: int
    created_at: float
    has_kernel: bool = False
    has_cloud_init: bool = True
    has_agent: bool = False
    default_user: str = ""
    command_line: str = ""
    min_memory_mib: int = 256


class CatalogueEntry(Record, frozen=True, kw_only=True):
    """A line of the catalogue: an official cloud image (``url``), or a ``recipe`` to build."""

    name: str
    description: str
    os: str
    architecture: str = "x86_64"
    url: str | None = None
    sha256: str | None = None
    sha512: str | None = None
    checksum_url: str | None = None
    size_bytes: int | None = None
    recipe: str | None = None
    default_user: str = ""
    has_agent: bool = False


class ImageAdd(Spec, frozen=True, kw_only=True):
    """A request for an image from a URL (http, https), the catalogue, or a file on the host."""

    source: str
    alias: str | None = None
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")] | None = None
    format: ImageFormat | None = None
    description: Annotated[str, Meta(max_length=1024)] = ""


class ImageBuild(Spec, frozen=True, kw_only=True):
    """A request for an image built by a recipe from distribution packages."""

    recipe: str
    alias: str | None = None
    is_forced: bool = False

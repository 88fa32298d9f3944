"""What volumes need to know of images."""

from pathlib import Path
from typing import Protocol

from lodge.model.image import Image
from lodge.store.contract import Compare, Store

__all__ = ["ImageSource", "image_stays"]

_IMAGES = "images/"


class ImageSource(Protocol):
    """The part of the images service that volumes use."""

    def get(self, reference: str, /) -> Image:
        """Return one image, by alias or by the beginning of its fingerprint."""
        ...

    def file(self, reference: str, /) -> Path:
        """Where its read-only qcow2 file is."""
        ...


def image_stays(store: Store, fingerprint: str | None) -> list[Compare]:
    """Return the condition that the image's record is not removed before ours is written."""
    found = store.get(f"{_IMAGES}{fingerprint}") if fingerprint else None
    return [Compare(found.key, found.revision)] if found else []

"""The catalogue: official cloud images by name, and recipes to build."""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from lodge.model.image import CatalogueEntry

__all__ = ["catalogue", "find_entry"]


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Read the catalogue that comes with Lodge, in its own order."""
    text = (files("lodge.services.images") / "catalogue.toml").read_text(encoding="utf-8")
    return tuple(msgspec.convert(tomllib.loads(text)["image"], list[CatalogueEntry]))


def find_entry(name: str) -> CatalogueEntry | None:
    """Return the entry of a name, or null."""
    return next((entry for entry in catalogue() if entry.name == name), None)

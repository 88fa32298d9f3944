"""Images that can be had by name."""

from generator.markdown import code, page, table
from lodge.base.units import format_size
from lodge.model.image import CatalogueEntry
from lodge.services.images.catalogue import catalogue

__all__ = ["catalogue_page"]

_ABOUT = """
- *build*: made on your host from its own distribution packages: `lodge image build NAME`.
- *download*: fetched from its distribution, compared with the checksum published there, inspected
  and converted: `lodge image add NAME`.

`lodge image catalogue` prints this list. Where *agent* is "no", `lodge exec`, `push` and `pull`
work after `qemu-guest-agent` was installed in the guest.
"""


def catalogue_page() -> str:
    """One table."""
    head = ("name", "how", "size", "user", "agent", "what")
    return page("Images by name", _ABOUT, table(head, (_row(entry) for entry in catalogue())))


def _row(entry: CatalogueEntry) -> tuple[str, ...]:
    return (
        code(entry.name),
        "build" if entry.recipe else "download",
        format_size(entry.size_bytes) if entry.size_bytes else "",
        code(entry.default_user or ""),
        "yes" if entry.has_agent else "no",
        entry.description,
    )

"""Tables of nftables kept as rendered: loaded once, loaded again when they changed or are gone."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lodge.model.record import Record
from lodge.system import nft
from lodge.system.files import write_whole

__all__ = ["FAMILY", "KeptTable"]

FAMILY = "inet"


class _Note(Record, frozen=True, kw_only=True):
    """Digest of the text that was loaded, and what the kernel listed right after."""

    digest: str
    listing: str


@dataclass(frozen=True, slots=True)
class KeptTable:
    """One table of a namespace (null: the host's); ``note`` remembers what was loaded."""

    table: str
    namespace: Path | None
    note: Path

    async def ensure(self, text: str) -> None:
        """Load the text unless the kernel has exactly what it made of it before."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        note = self._note()
        listing = await nft.list_table(FAMILY, self.table, namespace=self.namespace)
        if note is not None and note.digest == digest and note.listing == listing:
            return
        await nft.load(text, namespace=self.namespace)
        listing = await nft.list_table(FAMILY, self.table, namespace=self.namespace)
        made = _Note(digest=digest, listing=listing or "")
        write_whole(self.note, msgspec.json.encode(made))

    async def is_whole(self) -> bool:
        """Whether the kernel still has it as it was loaded."""
        note = self._note()
        listing = await nft.list_table(FAMILY, self.table, namespace=self.namespace)
        return note is not None and note.listing == listing

    async def remove(self) -> None:
        """Remove the table, whether it was ever loaded or not."""
        await nft.delete_table(FAMILY, self.table, namespace=self.namespace)
        self.note.unlink(missing_ok=True)

    def _note(self) -> _Note | None:
        try:
            return msgspec.json.decode(self.note.read_bytes(), type=_Note)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

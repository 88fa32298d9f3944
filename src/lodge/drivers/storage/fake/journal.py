"""The fake pool's memory on disk: one JSON line per change, so that 10,000 volumes stay cheap."""

import json
from pathlib import Path
from typing import Any

from lodge.model.storage import VolumeFormat
from lodge.system.files import write_whole

__all__ = ["FakeVolume", "Journal"]


class FakeVolume:
    """One volume that exists only as numbers."""

    __slots__ = ("base", "layout", "size_bytes", "uid", "written_bytes")

    def __init__(
        self,
        *,
        size_bytes: int,
        layout: str,
        base: str | None = None,
        written_bytes: int = 0,
        uid: int = 0,
    ) -> None:
        self.size_bytes = size_bytes
        self.layout = VolumeFormat(layout)
        self.base = base
        self.written_bytes = written_bytes
        self.uid = uid

    def as_dict(self) -> dict[str, Any]:
        """Return what a line of the journal says."""
        return {name: getattr(self, name) for name in self.__slots__}


class Journal:
    """Lines of ``{"volume": name, "is": fields or null}``; the last one of a name counts."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, FakeVolume]:
        """Read all lines and write them anew, without what later lines replaced."""
        volumes: dict[str, FakeVolume] = {}
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        for line in lines:
            try:
                fields = json.loads(line)
            except ValueError:
                continue  # the last line of a killed daemon may be cut
            if fields["is"] is None:
                volumes.pop(fields["volume"], None)
            else:
                volumes[fields["volume"]] = FakeVolume(**fields["is"])
        kept = "".join(_line(name, volume) for name, volume in volumes.items())
        write_whole(self._path, kept.encode())
        return volumes

    def note(self, name: str, volume: FakeVolume | None) -> None:
        """Add a line."""
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(_line(name, volume))


def _line(name: str, volume: FakeVolume | None) -> str:
    return json.dumps({"volume": name, "is": volume and volume.as_dict()}) + "\n"

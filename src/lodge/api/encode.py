"""Records to JSON, each encoded once: unchanged ones are the same object in the next list."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

__all__ = ["ItemCache", "encode", "entity_tag"]

_ENCODER = msgspec.json.Encoder(enc_hook=str)
_SPARE = 256
_MOST = 50_000


def encode(value: Any) -> bytes:
    """Write one value as JSON; what JSON does not know is written as text."""
    return _ENCODER.encode(value)


def entity_tag(data: bytes, revision: int | None) -> str:
    """Return a strong entity tag (RFC 9110, section 8.8.3): revision, then digest of the bytes.

    The revision alone would miss what is seen but not stored (status, progress); ``If-Match``
    looks at the revision only.
    """
    digest = hashlib.blake2b(data, digest_size=8).hexdigest()
    return f'"{revision or 0}-{digest}"'


class ItemCache:
    """The JSON of frozen records by identity of the object.

    The object is kept beside its bytes, so that no other one can get its identity meanwhile.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, bytes]] = {}

    def encode_all(self, items: Sequence[Any]) -> bytes:
        """Return a JSON array of all items."""
        known = self._known
        parts: list[bytes] = []
        for item in items:
            found = known.get(id(item))
            if found is None or found[0] is not item:
                found = (item, _ENCODER.encode(item))
                known[id(item)] = found
            parts.append(found[1])
        if len(known) > min(_MOST, 2 * len(items) + _SPARE):
            self._forget_all_but(items)
        return b"[" + b",".join(parts) + b"]"

    def _forget_all_but(self, items: Sequence[Any]) -> None:
        kept = {id(item) for item in items[:_MOST]}
        self._known = {key: value for key, value in self._known.items() if key in kept}

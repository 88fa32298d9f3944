r"""What all records share: frozen, typed, strict about unknown fields.

Patterns of texts end with ``$(?!\n)``: ``$`` alone also matches before a final newline.
"""

import msgspec

__all__ = ["Record", "Spec"]


class Spec(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False
):
    """Something people write: an unknown field is an error that names it."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """Something Lodge writes: fields added by a newer version are ignored when read."""

"""The text of a token: ``lodge_<id>_<secret>``; pure.

The fixed beginning lets scanners of source code find one that leaked; the id names the record, so
that only one hash is compared; the secret is 256 random bits in base64url without padding.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

from lodge.base.names import TokenId

__all__ = [
    "ID_BYTES",
    "SECRET_BYTES",
    "TokenText",
    "encode_secret",
    "hash_matches",
    "hash_secret",
    "read_token",
    "write_token",
]

ID_BYTES = 6
SECRET_BYTES = 32
_TOKEN = re.compile(r"lodge_(?P<id>[0-9a-f]{12})_(?P<secret>[A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class TokenText:
    """The parts of a token as its owner holds it."""

    id: TokenId
    secret: str

    def __repr__(self) -> str:
        """Show the id only: this may end in a log."""
        return f"TokenText(id={self.id!r})"


def write_token(token_id: TokenId, random: bytes) -> str:
    """Write a token from its id and its random bits."""
    return f"lodge_{token_id}_{encode_secret(random)}"


def encode_secret(random: bytes) -> str:
    """Write random bits as they stand in a token: base64url without padding."""
    return base64.urlsafe_b64encode(random).decode().rstrip("=")


def read_token(text: str) -> TokenText | None:
    """Take a token apart; null when it is none."""
    match = _TOKEN.fullmatch(text)
    return TokenText(TokenId(match["id"]), match["secret"]) if match else None


def hash_secret(secret: str) -> str:
    """Return what is stored. One SHA-256 is enough for 256 random bits: there is nothing to guess.

    (Slow hashes are for passwords, NIST SP 800-63B, 5.1.2.2 on look-up secrets.)
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def hash_matches(secret: str, stored: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(hash_secret(secret), stored)

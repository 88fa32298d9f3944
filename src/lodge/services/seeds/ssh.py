"""SSH public keys as they stand in ``authorized_keys``."""

import base64
import binascii

from lodge.services.seeds.errors import CloudInitInvalidError

__all__ = ["check_ssh_key"]

_TYPES = frozenset(
    {
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    }
)
_MAX_KEY_CHARACTERS = 16384
_LENGTH_BYTES = 4


def check_ssh_key(text: str, *, where: str = "cloud_init.ssh_keys") -> str:
    """Accept one public key, with or without a comment and options, or refuse it.

    The blob starts with its own type as a string with a length (RFC 4253, section 6.6), so a key
    that lost its end or its beginning is found without any cryptography.

    Raises:
        CloudInitInvalidError: not one line, of no known type, or damaged.
    """
    key = text.strip()
    if "PRIVATE KEY" in key:
        raise CloudInitInvalidError(
            "this is a private key", where=where, hint="give the public one, in the .pub file"
        )
    if len(key) > _MAX_KEY_CHARACTERS or not key.isprintable():
        raise CloudInitInvalidError(
            "an SSH key must be one line of printable characters", where=where
        )
    words = key.split()
    at = next((number for number, word in enumerate(words) if word in _TYPES), None)
    if at is None or at + 1 == len(words):
        raise CloudInitInvalidError(
            f"{_short(key)!r} is not an SSH public key of a known type",
            where=where,
            hint="it looks like: ssh-ed25519 AAAA... comment",
        )
    if not _is_whole(words[at], words[at + 1]):
        raise CloudInitInvalidError(f"the SSH key {_short(key)!r} is damaged", where=where)
    return key


def _is_whole(kind: str, encoded: str) -> bool:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    parts = []
    while blob:
        length = int.from_bytes(blob[:_LENGTH_BYTES], "big")
        blob = blob[_LENGTH_BYTES:]
        if length > len(blob):
            return False
        parts.append(blob[:length])
        blob = blob[length:]
    return len(parts) > 1 and parts[0] == kind.encode()


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."

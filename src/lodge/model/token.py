"""Tokens: credentials for the HTTPS door."""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from lodge.model.record import Record, Spec

__all__ = ["Scope", "Token", "TokenCreate"]


class Scope(StrEnum):
    """What a token may do; each scope includes the ones before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def includes(self, needed: "Scope") -> bool:
        """Whether this scope is enough where ``needed`` is asked for."""
        order = (Scope.READ, Scope.WRITE, Scope.ADMIN)
        return order.index(self) >= order.index(needed)


class TokenCreate(Spec, frozen=True, kw_only=True):
    """A request for a token; ``expires_in_s`` null: it never expires."""

    name: str
    scope: Scope = Scope.READ
    expires_in_s: Annotated[int, Meta(ge=1, le=315360000)] | None = 7776000


class Token(Record, frozen=True, kw_only=True):
    """A token as stored: only the SHA-256 of its secret (256 random bits) is kept."""

    id: str
    name: str
    scope: Scope
    hash: str
    created_at: float
    expires_at: float | None = None
    last_used_at: float | None = None

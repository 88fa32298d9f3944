"""Tokens: make, list, revoke, and find out whose one is."""

from collections.abc import Sequence
from typing import Final

import msgspec

from lodge.base.errors import LodgeError
from lodge.base.names import TokenId
from lodge.base.world import World
from lodge.model.answers import TokenView
from lodge.model.task import Actor
from lodge.model.token import Scope, Token, TokenCreate
from lodge.services.access.errors import (
    InvalidTokenError,
    TokenContestedError,
    TokenExpiredError,
    TokenNameError,
    TokenNotFoundError,
    TooManyFailuresError,
)
from lodge.services.access.limiter import FailureLimiter
from lodge.services.access.secrets import (
    ID_BYTES,
    SECRET_BYTES,
    encode_secret,
    hash_matches,
    hash_secret,
    read_token,
    write_token,
)
from lodge.store.contract import Store
from lodge.store.events import EventLog
from lodge.store.records import Records

__all__ = ["Access"]

USE_WRITTEN_EVERY_S: Final = 600.0
"""A token's last use is written at most this often: reads of the API must not cost disk writes."""

_LONGEST_NAME = 64
_NOBODY = hash_secret("")


class Access:
    """Who may do what: tokens, kept as hashes only, and a limit on wrong ones."""

    def __init__(
        self,
        store: Store,
        world: World,
        events: EventLog,
        *,
        limiter: FailureLimiter | None = None,
    ) -> None:
        self._store = store
        self._world = world
        self._events = events
        self._records: Records[Token] = Records(store, "tokens/", Token)
        self._limiter = limiter or FailureLimiter()
        self._used: dict[str, float] = {}

    def tokens(self) -> Sequence[TokenView]:
        """All tokens, in order of their names; expired ones too, until they are revoked."""
        found = [_view(self._with_use(token)) for _, token in self._records.items()]
        return sorted(found, key=lambda token: (token.name, token.id))

    async def create_token(self, request: TokenCreate, actor: Actor, /) -> tuple[TokenView, str]:
        """Make a token; the secret is returned this once and kept nowhere.

        Raises:
            TokenNameError: the name is empty, too long, or does not print.
        """
        _check_name(request.name)
        token_id = TokenId(self._world.random_bytes(ID_BYTES).hex())
        random = self._world.random_bytes(SECRET_BYTES)
        now = self._world.now()
        token = Token(
            id=token_id,
            name=request.name,
            scope=request.scope,
            hash=hash_secret(encode_secret(random)),
            created_at=now,
            expires_at=None if request.expires_in_s is None else now + request.expires_in_s,
        )
        facts = {"name": token.name, "scope": token.scope.value}
        event = self._events.put("token.created", f"tokens/{token_id}", facts, actor.trace)
        answer = await self._store.txn(
            [self._records.compare(token_id, 0)], [self._records.put(token_id, token), event]
        )
        if not answer.succeeded:
            raise TokenContestedError("the random id is taken; try again", where="token")
        return _view(token), write_token(token_id, random)

    async def revoke(self, token: str, actor: Actor, /) -> None:
        """End a token's life at once.

        Raises:
            TokenNotFoundError: there is none with that id.
        """
        found = self._records.get(token)
        if found is None:
            raise TokenNotFoundError(f"there is no token {token!r}", where=f"tokens/{token}")
        event = self._events.put(
            "token.revoked", f"tokens/{token}", {"name": found.name}, actor.trace
        )
        # No comparison: a use noted at this moment must not save the token.
        await self._store.txn((), [self._records.delete(token), event])
        self._used.pop(token, None)

    async def authenticate(self, secret: str, address: str, /) -> tuple[Actor, Scope]:
        """Return who a bearer secret stands for, and what it may do.

        Raises:
            TooManyFailuresError: that address tried too many wrong ones.
            InvalidTokenError: malformed, unknown or revoked.
            TokenExpiredError: its time is over.
        """
        self._check_patience(address)
        token = self._find(secret)
        if token is None:
            self._limiter.fail(address, self._world.monotonic())
            raise InvalidTokenError("the token is not valid", where="Authorization")
        now = self._world.now()
        if token.expires_at is not None and token.expires_at <= now:
            raise TokenExpiredError(f"token {token.name!r} has expired", where="Authorization")
        self._limiter.succeed(address)
        await self._note_use(token, now)
        return Actor(name=token.name, via="https", address=address), token.scope

    def _check_patience(self, address: str) -> None:
        delay = self._limiter.delay_s(address, self._world.monotonic())
        if delay > 0:
            raise TooManyFailuresError(
                f"too many wrong tokens from {address}: wait {delay:.0f} s",
                where="Authorization",
                retry_after_s=round(delay, 1),
            )

    def _find(self, text: str) -> Token | None:
        """Find a token by its text; takes as long for an unknown id as for a wrong secret."""
        parts = read_token(text)
        token = self._records.get(parts.id) if parts else None
        matches = hash_matches(parts.secret if parts else text, token.hash if token else _NOBODY)
        return token if token is not None and matches else None

    async def _note_use(self, token: Token, now: float) -> None:
        """Remember the use; write it down when the written one is old.

        A use that cannot be written (full disk, changed meanwhile) refuses nobody.
        """
        self._used[token.id] = now
        if now - (token.last_used_at or 0.0) < USE_WRITTEN_EVERY_S:
            return
        entry = self._records.entry(token.id)
        if entry is None:
            return
        changed = msgspec.structs.replace(entry[0], last_used_at=now)
        try:
            await self._store.txn(
                [self._records.compare(token.id, entry[1])], [self._records.put(token.id, changed)]
            )
        except LodgeError:
            return

    def _with_use(self, token: Token) -> Token:
        used = self._used.get(token.id, token.last_used_at)
        return msgspec.structs.replace(token, last_used_at=used)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise TokenNameError(
            f"{name[:80]!r} is not a name for a token",
            where="name",
            hint=f"use 1 to {_LONGEST_NAME} printable characters",
        )


def _view(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        name=token.name,
        scope=token.scope,
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
    )

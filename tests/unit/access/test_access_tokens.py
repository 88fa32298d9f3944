"""Tokens: made, shown once, hashed at rest, found again, expired, revoked; guessing slowed down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from virtual_world import VirtualWorld

from lodge.model.task import Actor
from lodge.model.token import Scope, TokenCreate
from lodge.services.access.errors import (
    InvalidTokenError,
    TokenExpiredError,
    TokenNameError,
    TokenNotFoundError,
    TooManyFailuresError,
)
from lodge.services.access.secrets import TokenText, read_token
from lodge.services.access.service import USE_WRITTEN_EVERY_S, Access
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore

ROOT = Actor(name="root", via="socket")
WRONG = "lodge_000000000000_" + "A" * 43


@asynccontextmanager
async def an_access(folder: Path) -> AsyncIterator[tuple[Access, VirtualWorld, SqliteStore]]:
    world = VirtualWorld()
    store = await SqliteStore.open(folder, world, backups_kept=0)
    try:
        yield Access(store, world, EventLog(store, world)), world, store
    finally:
        await store.close()


def test_a_token_opens_the_door_with_its_name_and_scope(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with an_access(tmp_path) as (access, _, _):
            token, secret = await access.create_token(
                TokenCreate(name="ci", scope=Scope.WRITE), ROOT
            )
            actor, scope = await access.authenticate(secret, "192.0.2.1")
            assert (actor.name, actor.via, actor.address) == ("ci", "https", "192.0.2.1")
            assert scope is Scope.WRITE
            assert secret.startswith(f"lodge_{token.id}_")

    asyncio.run(scenario())


def test_the_secret_is_nowhere_on_disk(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with an_access(tmp_path) as (access, _, _):
            return (await access.create_token(TokenCreate(name="ci"), ROOT))[1]

    secret = asyncio.run(scenario())
    bits = secret.rpartition("_")[2] if secret.count("_") == 2 else secret.split("_", 2)[2]
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert bits.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("change", ["last", "id", "empty", "prefix", "spaces", "unicode"])
def test_a_wrong_token_is_refused_without_saying_why(tmp_path: Path, change: str) -> None:
    async def scenario() -> None:
        async with an_access(tmp_path) as (access, _, _):
            _, secret = await access.create_token(TokenCreate(name="ci"), ROOT)
            other = "B" if secret[-10] == "A" else "A"
            wrong = {
                "last": secret[:-10] + other + secret[-9:],
                "id": secret.replace(secret.split("_")[1], "0" * 12, 1),
                "empty": "",
                "prefix": secret.removeprefix("lodge_"),
                "spaces": f" {secret}",
                "unicode": secret[:-1] + "é",
            }[change]
            with pytest.raises(InvalidTokenError) as refused:
                await access.authenticate(wrong, "192.0.2.1")
            assert refused.value.message == "the token is not valid"

    asyncio.run(scenario())


def test_an_expired_token_is_told_so_and_costs_no_patience(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with an_access(tmp_path) as (access, world, _):
            _, secret = await access.create_token(TokenCreate(name="ci", expires_in_s=60), ROOT)
            await world.pass_time(59)
            await access.authenticate(secret, "192.0.2.1")
            await world.pass_time(1)
            for _ in range(20):
                with pytest.raises(TokenExpiredError):
                    await access.authenticate(secret, "192.0.2.1")

    asyncio.run(scenario())


def test_a_revoked_token_is_dead_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with an_access(tmp_path) as (access, _, _):
            token, secret = await access.create_token(TokenCreate(name="ci"), ROOT)
            await access.revoke(token.id, ROOT)
            with pytest.raises(InvalidTokenError):
                await access.authenticate(secret, "192.0.2.1")
            with pytest.raises(TokenNotFoundError):
                await access.revoke(token.id, ROOT)
            assert access.tokens() == []

    asyncio.run(scenario())


def test_the_last_use_is_seen_at_once_and_written_seldom(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with an_access(tmp_path) as (access, world, store):
            _, secret = await access.create_token(TokenCreate(name="ci", expires_in_s=None), ROOT)
            before = store.revision
            for _ in range(10):
                await access.authenticate(secret, "192.0.2.1")
                await world.pass_time(1)
            assert store.revision == before + 1
            assert access.tokens()[0].last_used_at == world.now() - 1
            await world.pass_time(USE_WRITTEN_EVERY_S)
            await access.authenticate(secret, "192.0.2.1")
            assert store.revision == before + 2

    asyncio.run(scenario())


def test_who_guesses_waits_longer_and_longer_and_others_do_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with an_access(tmp_path) as (access, world, _):
            _, secret = await access.create_token(TokenCreate(name="ci"), ROOT)
            for _ in range(6):
                with pytest.raises(InvalidTokenError):
                    await access.authenticate(WRONG, "192.0.2.1")
            with pytest.raises(TooManyFailuresError) as refused:
                await access.authenticate(secret, "192.0.2.1")
            assert refused.value.details["retry_after_s"] == 1.0
            await access.authenticate(secret, "192.0.2.2")
            await world.pass_time(1.1)
            await access.authenticate(secret, "192.0.2.1")

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 65, "\x1b[31m"])
def test_a_name_that_could_mislead_is_refused(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        async with an_access(tmp_path) as (access, _, _):
            with pytest.raises(TokenNameError):
                await access.create_token(TokenCreate(name=name), ROOT)

    asyncio.run(scenario())


def test_making_and_revoking_are_events(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with an_access(tmp_path) as (access, world, store):
            token, _ = await access.create_token(TokenCreate(name="ci"), ROOT)
            await access.revoke(token.id, ROOT)
            kinds = [event.kind for event in EventLog(store, world).since(0)]
            assert kinds == ["token.created", "token.revoked"]

    asyncio.run(scenario())


def test_the_parts_of_a_token_print_without_its_secret() -> None:
    parts = read_token(WRONG)
    assert parts is not None
    assert repr(parts) == str(parts) == "TokenText(id='000000000000')"
    assert TokenText(parts.id, parts.secret) == parts

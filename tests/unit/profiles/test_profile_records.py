"""Profiles kept in the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from virtual_world import VirtualWorld

from lodge.base.errors import ChangedMeanwhileError
from lodge.base.names import InvalidNameError
from lodge.model.profile import ProfileSpec
from lodge.model.task import Actor
from lodge.services.profiles.errors import (
    ProfileContestedError,
    ProfileNotFoundError,
    ProfileProtectedError,
)
from lodge.services.profiles.service import BUILT_IN, DEFAULT_PROFILE, Profiles
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore

ROOT = Actor(name="root")


@asynccontextmanager
async def the_profiles(folder: Path) -> AsyncIterator[tuple[Profiles, VirtualWorld]]:
    world = VirtualWorld()
    store = await SqliteStore.open(folder, world, backups_kept=0)
    try:
        profiles = Profiles(store, world, EventLog(store, world))
        await profiles.ensure_default()
        yield profiles, world
    finally:
        await store.close()


def test_the_built_in_profile_is_made_once_and_a_changed_one_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with the_profiles(tmp_path) as (profiles, _):
            assert profiles.get(BUILT_IN).spec == DEFAULT_PROFILE
            await profiles.put(BUILT_IN, ProfileSpec(cpus=4), ROOT)
            await profiles.ensure_default()
            assert profiles.get(BUILT_IN).spec == ProfileSpec(cpus=4)
            with pytest.raises(ProfileProtectedError):
                await profiles.delete(BUILT_IN, ROOT)

    asyncio.run(scenario())


def test_a_replaced_profile_keeps_its_birthday(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with the_profiles(tmp_path) as (profiles, world):
            first = await profiles.put("large", ProfileSpec(cpus=8), ROOT)
            await world.pass_time(5)
            again = await profiles.put("large", ProfileSpec(cpus=9), ROOT)
            assert again.created_at == first.created_at
            assert [profile.name for profile in profiles.list()] == ["default", "large"]
            assert profiles.specs()["large"].cpus == 9

    asyncio.run(scenario())


def test_a_profile_changed_meanwhile_is_neither_replaced_nor_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with the_profiles(tmp_path) as (profiles, _):
            await profiles.put("large", ProfileSpec(), ROOT)
            _, revision = profiles.entry("large")
            await profiles.put("large", ProfileSpec(cpus=2), ROOT, revision=revision)
            for change in (
                profiles.put("large", ProfileSpec(), ROOT, revision=revision),
                profiles.delete("large", ROOT, revision=revision),
            ):
                with pytest.raises(ChangedMeanwhileError) as refused:
                    await change
                assert refused.value.details["revision"] == profiles.entry("large")[1]

    asyncio.run(scenario())


def test_of_two_at_the_same_moment_one_is_told_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with the_profiles(tmp_path) as (profiles, _):
            results = await asyncio.gather(
                *(profiles.put("large", ProfileSpec(cpus=n), ROOT) for n in (1, 2)),
                return_exceptions=True,
            )
            refused = [one for one in results if isinstance(one, ProfileContestedError)]
            assert len(refused) == 1

    asyncio.run(scenario())


def test_a_deleted_profile_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with the_profiles(tmp_path) as (profiles, _):
            await profiles.put("large", ProfileSpec(), ROOT)
            await profiles.delete("large", ROOT)
            with pytest.raises(ProfileNotFoundError):
                profiles.get("large")
            with pytest.raises(ProfileNotFoundError):
                await profiles.delete("large", ROOT)

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["", "Large", "a/b", "../x", "a b"])
def test_a_wrong_name_is_refused(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        async with the_profiles(tmp_path) as (profiles, _):
            with pytest.raises(InvalidNameError):
                await profiles.put(name, ProfileSpec(), ROOT)

    asyncio.run(scenario())


def test_profiles_tell_which_networks_and_pools_they_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with the_profiles(tmp_path) as (profiles, _):
            await profiles.put("shop", ProfileSpec(networks=("lab",), pool="fast"), ROOT)
            assert profiles.with_network("lab") == ["profiles/shop"]
            assert profiles.with_pool("fast") == ["profiles/shop"]
            assert (profiles.with_network("other"), profiles.with_pool("other")) == ([], [])

    asyncio.run(scenario())

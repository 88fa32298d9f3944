"""Profiles: kept, listed, replaced, removed; direct writes, no tasks."""

from collections.abc import Mapping, Sequence
from typing import Final

from lodge.base.errors import ChangedMeanwhileError
from lodge.base.names import check_name
from lodge.base.world import World
from lodge.model.profile import Profile, ProfileSpec
from lodge.model.task import Actor
from lodge.services.profiles.errors import (
    ProfileContestedError,
    ProfileNotFoundError,
    ProfileProtectedError,
)
from lodge.store.contract import Store
from lodge.store.events import EventLog
from lodge.store.records import Records

__all__ = ["BUILT_IN", "DEFAULT_PROFILE", "Profiles"]

BUILT_IN: Final = "default"
DEFAULT_PROFILE: Final = ProfileSpec(
    description="What every instance gets unless another profile or the request says otherwise",
    cpus=1,
    memory_mib=1024,
    pool="default",
    networks=("default",),
)


class Profiles:
    """Reusable partial specs. Instances copy what they say at creation and never look again."""

    def __init__(self, store: Store, world: World, events: EventLog) -> None:
        self._store = store
        self._world = world
        self._events = events
        self._records: Records[Profile] = Records(store, "profiles/", Profile)

    async def ensure_default(self) -> None:
        """Make the built-in profile at the first start; a changed one stays. Idempotent."""
        if self._records.get(BUILT_IN) is not None:
            return
        profile = Profile(name=BUILT_IN, spec=DEFAULT_PROFILE, created_at=self._world.now())
        await self._store.txn(
            [self._records.compare(BUILT_IN, 0)], [self._records.put(BUILT_IN, profile)]
        )

    def list(self) -> Sequence[Profile]:
        """All profiles, in order of their names."""
        return [profile for _, profile in self._records.items()]

    def specs(self) -> Mapping[str, ProfileSpec]:
        """All profiles by name, as ``merge_profiles`` takes them."""
        return {name: profile.spec for name, profile in self._records.items()}

    def with_network(self, network: str) -> Sequence[str]:
        """Name the profiles whose instances would need this network, as ``profiles/NAME``."""
        named = self.specs().items()
        return [f"profiles/{name}" for name, spec in named if network in (spec.networks or ())]

    def with_pool(self, pool: str) -> Sequence[str]:
        """Name the profiles whose instances would need this pool, as ``profiles/NAME``."""
        return [f"profiles/{name}" for name, spec in self.specs().items() if spec.pool == pool]

    def get(self, name: str, /) -> Profile:
        """One profile.

        Raises:
            ProfileNotFoundError: there is none.
        """
        return self.entry(name)[0]

    def entry(self, name: str, /) -> tuple[Profile, int]:
        """One profile and its revision.

        Raises:
            ProfileNotFoundError: there is none.
        """
        found = self._records.entry(name)
        if found is None:
            raise ProfileNotFoundError(f"there is no profile {name!r}", where=f"profiles/{name}")
        return found

    async def put(
        self, name: str, spec: ProfileSpec, actor: Actor, /, *, revision: int | None = None
    ) -> Profile:
        """Create or replace a profile; with ``revision`` only while it is still at that one.

        Raises:
            InvalidNameError, ChangedMeanwhileError, ProfileContestedError
        """
        check_name(name, what="profile")
        found = self._records.entry(name)
        present = found[1] if found else 0
        _check_revision(name, present, revision)
        created_at = found[0].created_at if found else self._world.now()
        profile = Profile(name=name, spec=spec, created_at=created_at)
        kind = "profile.changed" if found else "profile.created"
        event = self._events.put(kind, f"profiles/{name}", None, actor.trace)
        answer = await self._store.txn(
            [self._records.compare(name, present)], [self._records.put(name, profile), event]
        )
        if not answer.succeeded:
            raise ProfileContestedError(f"profile {name!r} was changed", where=f"profiles/{name}")
        return profile

    async def delete(self, name: str, actor: Actor, /, *, revision: int | None = None) -> None:
        """Remove a profile; instances made with it keep what they got.

        Raises:
            ProfileNotFoundError, ProfileProtectedError, ChangedMeanwhileError,
            ProfileContestedError
        """
        _, present = self.entry(name)
        if name == BUILT_IN:
            raise ProfileProtectedError(
                f"profile {name!r} is built in",
                where=f"profiles/{name}",
                hint="change it instead, or name other profiles in the request",
            )
        _check_revision(name, present, revision)
        event = self._events.put("profile.deleted", f"profiles/{name}", None, actor.trace)
        answer = await self._store.txn(
            [self._records.compare(name, present)], [self._records.delete(name), event]
        )
        if not answer.succeeded:
            raise ProfileContestedError(f"profile {name!r} was changed", where=f"profiles/{name}")


def _check_revision(name: str, present: int, wanted: int | None) -> None:
    if wanted is not None and wanted != present:
        raise ChangedMeanwhileError(
            f"profile {name!r} is at revision {present}, not {wanted}",
            where=f"profiles/{name}",
            revision=present,
        )

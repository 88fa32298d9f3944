"""All groups of endpoints behind one door, each loaded when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from lodge.client.endpoint import Door

if TYPE_CHECKING:
    from lodge.client.access import Audit, Hosts, Settings, Tokens
    from lodge.client.images import Images
    from lodge.client.instances import Instances
    from lodge.client.networks import Networks
    from lodge.client.profiles import Profiles
    from lodge.client.storage import Pools, Volumes
    from lodge.client.tasks import Events, Tasks

__all__ = ["Groups"]

D = TypeVar("D")


class Groups(Generic[D]):
    """What every client offers: one attribute per noun."""

    def __init__(self, door: Door) -> None:
        self._door = door

    @property
    def instances(self) -> Instances[D]:
        """Instances."""
        from lodge.client.instances import Instances

        return Instances(self._door)

    @property
    def images(self) -> Images[D]:
        """Images and the catalogue."""
        from lodge.client.images import Images

        return Images(self._door)

    @property
    def pools(self) -> Pools[D]:
        """Storage pools."""
        from lodge.client.storage import Pools

        return Pools(self._door)

    @property
    def volumes(self) -> Volumes[D]:
        """Volumes."""
        from lodge.client.storage import Volumes

        return Volumes(self._door)

    @property
    def networks(self) -> Networks[D]:
        """Networks."""
        from lodge.client.networks import Networks

        return Networks(self._door)

    @property
    def profiles(self) -> Profiles[D]:
        """Profiles."""
        from lodge.client.profiles import Profiles

        return Profiles(self._door)

    @property
    def tasks(self) -> Tasks[D]:
        """Tasks."""
        from lodge.client.tasks import Tasks

        return Tasks(self._door)

    @property
    def events(self) -> Events[D]:
        """Events."""
        from lodge.client.tasks import Events

        return Events(self._door)

    @property
    def hosts(self) -> Hosts[D]:
        """The machine that the daemon runs on."""
        from lodge.client.access import Hosts

        return Hosts(self._door)

    @property
    def tokens(self) -> Tokens[D]:
        """Tokens."""
        from lodge.client.access import Tokens

        return Tokens(self._door)

    @property
    def audit(self) -> Audit[D]:
        """The audit log."""
        from lodge.client.access import Audit

        return Audit(self._door)

    @property
    def settings(self) -> Settings[D]:
        """Settings of the daemon."""
        from lodge.client.access import Settings

        return Settings(self._door)

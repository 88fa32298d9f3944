"""The instances that exist: stored records, the last status of each, and the views made of both.

Statuses live in memory only, because they are observations: a new daemon looks again.
"""

import difflib
from collections.abc import Callable

from msgspec import structs

from lodge.base.errors import ChangedMeanwhileError
from lodge.model.instance import Instance, InstanceStatus, state_word
from lodge.model.requests import InstanceView
from lodge.services.instances.errors import (
    InstanceExistsError,
    InstanceNotFoundError,
)
from lodge.store.contract import Operation, Store
from lodge.store.events import EventLog
from lodge.store.records import Records

__all__ = ["InstanceRegistry"]

_UNSEEN = InstanceStatus()
_WRITE_ATTEMPTS = 20


class InstanceRegistry:
    """Records by name, found by id too; every write is guarded by the revision it was based on.

    What becomes of a record is told in ``events``, in the same transaction.
    """

    def __init__(self, store: Store, events: EventLog) -> None:
        self._store = store
        self._events = events
        self._records = Records(store, "instances/", Instance)
        self._status: dict[str, InstanceStatus] = {}
        self._views: dict[str, tuple[int, InstanceStatus, tuple[str, ...], InstanceView]] = {}
        self._names: dict[str, str] = {}

    def names(self) -> list[str]:
        """All names, sorted."""
        return [record.name for record in self.all()]

    def all(self) -> list[Instance]:
        """All records, by name."""
        return [record for _, record in self._records.items()]

    def find(self, name: str) -> Instance | None:
        """Return one record, or null."""
        return self._records.get(name)

    def get(self, name: str) -> Instance:
        """Return one record.

        Raises:
            InstanceNotFoundError: there is none of this name.
        """
        record = self._records.get(name)
        if record is None:
            raise InstanceNotFoundError(
                f"there is no instance {name!r}", where=f"instances/{name}", near=self._near(name)
            )
        return record

    def expect(self, name: str, instance_id: str) -> Instance:
        """Return a record that still is the instance a request was made for.

        Raises:
            InstanceNotFoundError: it is gone, or the name belongs to another one by now.
        """
        record = self.get(name)
        if record.id != instance_id:
            raise InstanceNotFoundError(
                f"{name!r} is another instance by now: the one that was meant has been renamed"
                " or deleted",
                where=f"instances/{name}",
            )
        return record

    def by_id(self, instance_id: str) -> Instance | None:
        """Find a record by its id; the name may have changed since."""
        known = self._records.get(self._names.get(instance_id, ""))
        if known is not None and known.id == instance_id:
            return known
        # One pass finds all: thousands of instances are looked up by id when a daemon starts.
        self._names = {record.id: record.name for record in self.all()}
        name = self._names.get(instance_id)
        return None if name is None else self._records.get(name)

    def revision(self, name: str) -> int:
        """Return the revision of a record; 0 when it does not exist."""
        entry = self._records.entry(name)
        return 0 if entry is None else entry[1]

    def check_revision(self, name: str, revision: int | None) -> None:
        """Refuse a change that was based on an older record; null: the caller does not care.

        Raises:
            ChangedMeanwhileError: with the revision it has now.
        """
        actual = self.revision(name)
        if revision is not None and revision != actual:
            raise ChangedMeanwhileError(
                f"instance {name!r} was changed meanwhile: revision {actual}, not {revision}",
                where=f"instances/{name}",
                revision=actual,
            )

    async def add(self, record: Instance) -> None:
        """Write a new record; the same one (by id) again changes nothing.

        Raises:
            InstanceExistsError: another instance has the name.
        """
        present = self.find(record.name)
        if present is not None and present.id == record.id:
            return
        answer = await self._store.txn(
            [self._records.compare(record.name, 0)],
            [
                self._records.put(record.name, record),
                self._event("instance.created", record.name, record.id),
            ],
        )
        if not answer.succeeded:
            raise _exists(record.name)

    async def update(self, instance_id: str, change: Callable[[Instance], Instance]) -> Instance:
        """Apply a change (of the name too) to the newest record, again when somebody was faster.

        Raises:
            InstanceNotFoundError: it is gone.
            InstanceExistsError: another instance has the new name.
        """
        for _ in range(_WRITE_ATTEMPTS):
            record = self.by_id(instance_id)
            if record is None:
                break
            revision = self.revision(record.name)
            changed = change(record)
            if changed == record:
                return record
            if await self._replace(record, revision, changed):
                return changed
        raise InstanceNotFoundError(f"instance {instance_id} is gone", where=instance_id)

    async def _replace(self, record: Instance, revision: int, changed: Instance) -> bool:
        compares = [self._records.compare(record.name, revision)]
        operations: list[Operation] = [self._records.put(changed.name, changed)]
        if changed.name != record.name:
            if self.find(changed.name) is not None:
                raise _exists(changed.name)
            compares.append(self._records.compare(changed.name, 0))
            operations.append(self._records.delete(record.name))
            operations.append(
                self._event("instance.renamed", changed.name, record.id, was=record.name)
            )
        # Nics get their addresses while an instance is created: that is no change of its own.
        if structs.replace(changed.spec, nics=()) != structs.replace(record.spec, nics=()):
            operations.append(self._event("instance.changed", changed.name, record.id))
        answer = await self._store.txn(compares, operations)
        if answer.succeeded and changed.name != record.name:
            self._views.pop(record.name, None)
        return answer.succeeded

    async def remove(self, name: str, instance_id: str) -> None:
        """Delete a record if it is still that instance's; nothing happens when it is gone."""
        record = self.find(name)
        if record is not None and record.id == instance_id:
            event = self._event("instance.deleted", name, instance_id)
            await self._store.txn([], [self._records.delete(name), event])
        self._status.pop(instance_id, None)
        self._names.pop(instance_id, None)
        self._views.pop(name, None)

    def status(self, instance_id: str) -> InstanceStatus:
        """Return what was last seen of an instance."""
        return self._status.get(instance_id, _UNSEEN)

    def set_status(self, instance_id: str, status: InstanceStatus) -> None:
        """Remember what is seen now."""
        self._status[instance_id] = status

    def view(self, record: Instance, tasks: tuple[str, ...] = ()) -> InstanceView:
        """Return the instance as the API shows it; the same object until something changed."""
        return self._view(record, self.revision(record.name), tasks)

    def views(self, active: Callable[[str], tuple[str, ...]]) -> list[InstanceView]:
        """All instances as the API shows them, by name; ``active`` gives the tasks of a target."""
        return [
            self._view(record, revision, active(f"instances/{name}"))
            for name, record, revision in self._records.entries()
        ]

    def _view(self, record: Instance, revision: int, tasks: tuple[str, ...]) -> InstanceView:
        status = self.status(record.id)
        known = self._views.get(record.name)
        if known is not None and known[0] == revision and known[1] is status and known[2] == tasks:
            return known[3]
        view = InstanceView(
            name=record.name,
            id=record.id,
            kind=record.spec.kind,
            state=state_word(record.wanted, status),
            spec=record.spec,
            status=status,
            wanted=record.wanted.value,
            driver=record.driver,
            machine_version=record.machine_version,
            image_name=record.image_name,
            created_at=record.created_at,
            updated_at=record.updated_at,
            revision=revision,
            tasks=tasks,
        )
        self._views[record.name] = (revision, status, tasks, view)
        return view

    def _event(self, kind: str, name: str, instance_id: str, **data: str) -> Operation:
        return self._events.put(kind, f"instances/{name}", {"id": instance_id, **data})

    def _near(self, name: str) -> list[str]:
        return difflib.get_close_matches(name, self.names(), n=3)


def _exists(name: str) -> InstanceExistsError:
    return InstanceExistsError(f"instance {name!r} exists already", where=f"instances/{name}")

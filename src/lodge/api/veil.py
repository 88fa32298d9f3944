"""What a caller may not see of a record: texts that may hold secrets.

``Task.params`` shows nobody such texts: the task keeps them only to be carried on after a crash.
An instance's and a profile's cloud-init documents are shown to those who may write, because they
could as well read them in the guest. Only the length of a hidden text is told: its digest would let
a reader try passwords until one fits.
"""

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from lodge.model.instance import CloudInitSpec
from lodge.model.profile import Profile
from lodge.model.requests import InstanceView
from lodge.model.task import Task
from lodge.model.token import Scope
from lodge.services.access.redaction import SECRET_FIELDS

__all__ = ["Veil"]

_MOST = 12_000


class Veil:
    """Hide texts in answers; remembers what it made of unchanged records, by their identity.

    The record is kept beside its veiled form, so that no other one can get its identity meanwhile.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any]] = {}

    def over_all(self, values: Sequence[Any], scope: Scope | None) -> Sequence[Any]:
        """Return the values of a list, all of one type; nothing is copied where nothing hides."""
        if not values or (_may_write(scope) and not isinstance(values[0], Task)):
            return values
        return [self.over(value, scope) for value in values]

    def over(self, value: Any, scope: Scope | None) -> Any:
        """Return the value as a caller of this scope may see it: the same object if all of it."""
        if not (isinstance(value, Task) or (_has_documents(value) and not _may_write(scope))):
            return value
        found = self._known.get(id(value))
        if found is None or found[0] is not value:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = (value, _veiled(value))
            self._known[id(value)] = found
        return found[1]


def _may_write(scope: Scope | None) -> bool:
    return scope is not None and scope.includes(Scope.WRITE)


def _has_documents(value: Any) -> bool:
    return isinstance(value, InstanceView | Profile) and value.spec.cloud_init is not None


def _veiled(value: Any) -> Any:
    if isinstance(value, Task):
        params = _without_secrets(value.params)
        return value if params == value.params else structs.replace(value, params=params)
    documents: CloudInitSpec = value.spec.cloud_init
    hidden = structs.replace(
        documents,
        user_data=_hidden(documents.user_data),
        vendor_data=_hidden(documents.vendor_data),
        network_config=_hidden(documents.network_config),
    )
    if hidden == documents:
        return value
    return structs.replace(value, spec=structs.replace(value.spec, cloud_init=hidden))


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: _hidden(part) if name in SECRET_FIELDS else _without_secrets(part)
            for name, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(part) for part in value]
    return value


def _hidden(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return f"hidden ({len(value.encode('utf-8', 'surrogatepass'))} bytes)"
    return "hidden"

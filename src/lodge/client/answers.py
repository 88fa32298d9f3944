"""Turn the bytes of an answer into the type its endpoint names.

This module loads all models, so it is imported only when an answer is to be decoded.
"""

from functools import cache
from typing import Any, get_type_hints

import msgspec

from lodge.client.errors import AnswerBrokenError
from lodge.model.answers import (
    ApiAnswer,
    DryRunAnswer,
    EventPage,
    FileWritten,
    Page,
    Setting,
    TokenCreated,
    TokenView,
)
from lodge.model.event import AuditRecord, Event
from lodge.model.host import Capability, Host
from lodge.model.image import CatalogueEntry, Image
from lodge.model.network import Lease, Network, NetworkStatus
from lodge.model.profile import Profile
from lodge.model.requests import ExecResult, InstanceView, TaskAnswer
from lodge.model.storage import Pool, PoolUsage, Volume, VolumeUsage
from lodge.model.task import Task

__all__ = ["answer_type", "decode"]

_TYPES: dict[str, Any] = {
    each.__name__: each
    for each in (
        ApiAnswer,
        AuditRecord,
        Capability,
        CatalogueEntry,
        DryRunAnswer,
        Event,
        EventPage,
        ExecResult,
        FileWritten,
        Host,
        Image,
        InstanceView,
        Lease,
        Network,
        NetworkStatus,
        Page,
        Pool,
        PoolUsage,
        Profile,
        Setting,
        Task,
        TaskAnswer,
        TokenCreated,
        TokenView,
        Volume,
        VolumeUsage,
    )
} | {"Any": Any}


@cache
def answer_type(text: str) -> Any:
    """Return the type that an endpoint's annotation names, such as ``Page[Task]``.

    Raises:
        NameError: no such type is known here; a test asks for the type of every endpoint.
    """

    def probe() -> None: ...

    probe.__annotations__ = {"answer": text}
    return get_type_hints(probe, localns=_TYPES)["answer"]


@cache
def _decoder(text: str) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(answer_type(text))


def decode(text: str, content: bytes) -> Any:
    """Decode JSON as the type of that name; bytes and null need no decoding.

    Raises:
        AnswerBrokenError: the daemon answered something else.
    """
    if text == "bytes":
        return content
    if text == "None":
        return None
    try:
        return _decoder(text).decode(content or b"null")
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise AnswerBrokenError(
            f"the answer is not a {text}: {error}",
            hint="does the daemon have the same version? compare with: lodge version",
        ) from error

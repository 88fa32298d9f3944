"""A typed client of Lodge's API: blocking, asynchronous, and plain.

    from lodge.client import Client
    Client().instances.get("web1").state

Names are loaded when they are first used, so that the command line starts fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lodge.client.address import Address as Address
    from lodge.client.blocking import Client as Client
    from lodge.client.blocking import PlainClient as PlainClient
    from lodge.client.nonblocking import AsyncClient as AsyncClient

__all__ = ["Address", "AsyncClient", "Client", "PlainClient"]

_HOMES = {
    "Address": "lodge.client.address",
    "AsyncClient": "lodge.client.nonblocking",
    "Client": "lodge.client.blocking",
    "PlainClient": "lodge.client.blocking",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(_HOMES[name]), name)

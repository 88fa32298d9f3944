"""Who is calling: local root through the socket, or the owner of a token over HTTPS."""

import os
import re
import socket
from dataclasses import dataclass

import msgspec
from aiohttp import web

from lodge.api.errors import (
    MalformedRequestError,
    MissingTokenError,
    NotRootError,
    ScopeTooSmallError,
)
from lodge.api.route import Route
from lodge.api.services import Access
from lodge.base.world import World
from lodge.model.task import Actor
from lodge.model.token import Scope
from lodge.system.sockets import peer_of, user_name

__all__ = ["Caller", "identify_caller", "require_scope", "trace_of"]

_TRACE = re.compile(r"[0-9a-f]{16,32}")
_LONGEST_REASON = 200
_TRACE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Caller:
    """A proven caller; ``scope`` null: nobody knows who it is."""

    actor: Actor
    scope: Scope | None


async def identify_caller(request: web.BaseRequest, access: Access, trace: str) -> Caller:
    """Find out who is calling; a wrong token is an error, none at all is not.

    Raises:
        NotRootError, UnauthenticatedError, TooManyFailuresError, MalformedRequestError
    """
    reasons = _reasons(request)
    connection = _connection(request)
    if connection.family == socket.AF_UNIX:
        name = _local_user(connection)
        actor = Actor(name=name, via="socket", reasons=reasons, trace=trace)
        return Caller(actor, Scope.ADMIN)
    address = str(connection.getpeername()[0])
    header = request.headers.get("Authorization")
    if header is None:
        nobody = Actor(name="", via="https", address=address, reasons=reasons, trace=trace)
        return Caller(nobody, None)
    kind, _, secret = header.partition(" ")
    actor, scope = await access.authenticate(
        secret.strip() if kind.lower() == "bearer" else "", address
    )
    return Caller(msgspec.structs.replace(actor, reasons=reasons, trace=trace), scope)


def require_scope(caller: Caller, route: Route) -> None:
    """Let the caller pass, or say what is missing.

    Raises:
        MissingTokenError: nobody knows who it is.
        ScopeTooSmallError: its scope is not enough.
    """
    if route.scope is None:
        return
    if caller.scope is None:
        raise MissingTokenError("this needs a token", where="Authorization")
    if not caller.scope.includes(route.scope):
        raise ScopeTooSmallError(
            f"token {caller.actor.name!r} may {caller.scope.value},"
            f" {route.name} needs {route.scope.value}",
            where=route.name,
            hint=f"make a token with --scope {route.scope.value}",
            scope=caller.scope.value,
            needed=route.scope.value,
        )


def trace_of(request: web.BaseRequest, world: World) -> str:
    """Return the trace id the caller gave, or a new one."""
    given = request.headers.get("Lodge-Trace", "")
    return given if _TRACE.fullmatch(given) else world.random_bytes(_TRACE_BYTES).hex()


def _connection(request: web.BaseRequest) -> socket.socket:
    transport = request.transport
    connection: socket.socket | None = transport.get_extra_info("socket") if transport else None
    if connection is None:
        raise ConnectionResetError("the caller has hung up")
    return connection


def _reasons(request: web.BaseRequest) -> tuple[str, ...]:
    text = request.headers.get("Lodge-Reason", "").strip()
    if not text:
        return ()
    if len(text) > _LONGEST_REASON or not text.isprintable():
        raise MalformedRequestError(
            f"a reason has at most {_LONGEST_REASON} printable characters", where="Lodge-Reason"
        )
    return (text,)


def _local_user(connection: socket.socket) -> str:
    """Name the local caller: root, or the user the daemon itself runs as.

    (Who runs the daemon could also read its memory; that is not a weaker door.)
    """
    uid = peer_of(connection).uid
    if uid not in (0, os.geteuid()):
        raise NotRootError(f"user {uid} is not root", where="socket")
    return user_name(uid)

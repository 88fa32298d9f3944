"""``/tokens`` and ``/audit``."""

from lodge.api.call import Call
from lodge.api.listing.page import Listing
from lodge.api.replies import JsonReply, ListReply, NothingReply, Reply
from lodge.api.route import Answer, BodyKind, ListQuery, Route
from lodge.model.answers import TokenCreated, TokenView
from lodge.model.event import AuditRecord
from lodge.model.token import Scope, TokenCreate

__all__ = ["ROUTES"]

_PAGE = 1000


async def list_tokens(call: Call) -> Reply:
    """All tokens."""
    return ListReply(call.services.access.tokens())


async def create_token(call: Call) -> Reply:
    """Make one."""
    token, secret = await call.services.access.create_token(call.body, call.actor)
    return JsonReply(
        TokenCreated(token=token, secret=secret), status=201, location=f"/v1/tokens/{token.id}"
    )


async def revoke_token(call: Call) -> Reply:
    """End one."""
    await call.services.access.revoke(call.path["id"], call.actor)
    return NothingReply()


async def list_audit(call: Call) -> Reply:
    """Who asked what."""
    return ListReply(call.services.audit.list())


ROUTES = (
    Route(
        method="GET",
        path="/tokens",
        name="tokens.list",
        scope=Scope.ADMIN,
        summary="List tokens",
        handler=list_tokens,
        answer=Answer.LIST,
        value=TokenView,
        query=ListQuery,
        listing=Listing(TokenView, ("name", "id")),
    ),
    Route(
        method="POST",
        path="/tokens",
        name="tokens.create",
        scope=Scope.ADMIN,
        summary="Make a token; its secret is shown in this answer only",
        handler=create_token,
        value=TokenCreated,
        status=201,
        body=TokenCreate,
        body_kind=BodyKind.JSON,
        examples={"monitoring": {"name": "monitoring", "scope": "read", "expires_in_s": 2592000}},
    ),
    Route(
        method="DELETE",
        path="/tokens/{id}",
        name="tokens.revoke",
        scope=Scope.ADMIN,
        summary="Revoke a token at once",
        handler=revoke_token,
        answer=Answer.NOTHING,
    ),
    Route(
        method="GET",
        path="/audit",
        name="audit.list",
        scope=Scope.ADMIN,
        summary="List who asked for which change, newest first",
        handler=list_audit,
        answer=Answer.LIST,
        value=AuditRecord,
        query=ListQuery,
        listing=Listing(AuditRecord, ("-id",), _PAGE),
    ),
)

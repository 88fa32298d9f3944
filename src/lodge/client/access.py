"""Endpoints of the host, tokens, the audit log and settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from lodge.client.call import Call, path
from lodge.client.endpoint import Endpoint, Group, ListEndpoint

if TYPE_CHECKING:
    from lodge.model.answers import ApiAnswer, Page, Setting, TokenCreated, TokenView
    from lodge.model.event import AuditRecord
    from lodge.model.host import Capability, Host
    from lodge.model.token import TokenCreate

__all__ = ["Audit", "Hosts", "Settings", "Tokens"]

D = TypeVar("D")


class Hosts(Group[D]):
    """The machine that the daemon runs on."""

    @Endpoint
    def versions(self) -> Call[ApiAnswer]:
        """Tell the daemon's version and who it takes the caller for."""
        return Call("GET", "/v1")

    @Endpoint
    def show(self) -> Call[Host]:
        """Show the machine's identity and size."""
        return Call("GET", path("host"))

    @ListEndpoint
    def check(self) -> Call[Page[Capability]]:
        """Probe what the machine can do; the first time after a start this takes seconds."""
        return Call("GET", path("host", "check"), timeout_s=120.0)


class Tokens(Group[D]):
    """Credentials for the HTTPS door."""

    @ListEndpoint
    def list(
        self,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[TokenView]]:
        """List tokens, without secrets."""
        return Call("GET", path("tokens"), query={"filter": where, "sort": sort, "limit": limit})

    @Endpoint
    def create(self, request: TokenCreate) -> Call[TokenCreated]:
        """Create a token; its secret is in this answer and nowhere else."""
        return Call("POST", path("tokens"), body=request)

    @Endpoint
    def revoke(self, token_id: str) -> Call[None]:
        """End a token's life."""
        return Call("DELETE", path("tokens", token_id))


class Audit(Group[D]):
    """Who asked what, with what result."""

    @ListEndpoint
    def list(
        self,
        *,
        where: str = "",
        sort: str = "",
        limit: int | None = None,
    ) -> Call[Page[AuditRecord]]:
        """List audit records."""
        return Call("GET", path("audit"), query={"filter": where, "sort": sort, "limit": limit})


class Settings(Group[D]):
    """Settings of the daemon."""

    @ListEndpoint
    def list(self, *, where: str = "", sort: str = "") -> Call[Page[Setting]]:
        """List settings with their values."""
        return Call("GET", path("config"), query={"filter": where, "sort": sort})

    @Endpoint
    def change(
        self, values: Mapping[str, str | int | float | bool | None]
    ) -> Call[tuple[Setting, ...]]:
        """Change some settings; null brings a default back."""
        return Call("PATCH", path("config"), body={"settings": dict(values)})

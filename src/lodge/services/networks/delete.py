"""``network.delete``: a network that nobody uses goes without a trace."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar

import msgspec

from lodge.model.network import Network, NetworkState
from lodge.model.record import Spec
from lodge.services.networks.registry import NetworkRegistry
from lodge.services.networks.upkeep import Upkeep
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["DeleteNetwork", "DeleteNetworkParams"]

_RECORD = "network"


class DeleteNetworkParams(Spec, frozen=True, kw_only=True):
    """Which network."""

    name: str


class DeleteNetwork:
    """Close it for new users, take it down, forget it."""

    kind: ClassVar[str] = "network.delete"
    params_type: ClassVar[type[DeleteNetworkParams]] = DeleteNetworkParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 4

    def __init__(
        self,
        registry: NetworkRegistry,
        upkeep: Upkeep,
        other_users: Callable[[str], Sequence[str]],
    ) -> None:
        self._registry = registry
        self._upkeep = upkeep
        self._other_users = other_users

    def target(self, params: DeleteNetworkParams, /) -> str:
        """The network."""
        return f"networks/{params.name}"

    def locks(self, params: DeleteNetworkParams, /) -> AbstractSet[str]:
        """The name; reservations are kept out by the record's state and revision."""
        return {f"network:{params.name}"}

    async def check(self, params: DeleteNetworkParams, /) -> None:
        """Refuse a network that does not exist or is used; reads only."""
        self._registry.get(params.name)
        self._registry.refuse_use(params.name, list(self._other_users(params.name)))

    def plan(self, params: DeleteNetworkParams, /) -> Sequence[StepDefinition]:
        """List the steps; each may run again."""

        async def close(context: StepContext) -> None:
            await self._close(params.name, context)

        async def reopen(context: StepContext) -> None:
            if _RECORD in context.notes:
                await self._registry.set_state(params.name, _noted(context).id, NetworkState.READY)

        async def take_down(context: StepContext) -> None:
            await self._upkeep.take_down(_noted(context))

        async def bring_up(context: StepContext) -> None:
            await self._upkeep.bring_up(_noted(context))

        async def forget(context: StepContext) -> None:
            await self._registry.remove(params.name, _noted(context).id)

        return (
            StepDefinition("close", close, reopen),
            StepDefinition("take down", take_down, bring_up),
            StepDefinition("forget", forget),
        )

    async def _close(self, name: str, context: StepContext) -> None:
        """Let nobody reserve any more, then look for users once more: now none can come."""
        if _RECORD not in context.notes:
            network = self._registry.get(name)
            await context.remember(**{_RECORD: msgspec.to_builtins(network)})
        await self._registry.set_state(name, _noted(context).id, NetworkState.DELETING)
        self._registry.refuse_use(name, list(self._other_users(name)))


def _noted(context: StepContext) -> Network:
    return msgspec.convert(context.notes[_RECORD], Network)

"""``/networks``."""

from lodge.api.call import Call
from lodge.api.listing.page import Listing
from lodge.api.replies import JsonReply, ListReply, Reply, TaskReply
from lodge.api.route import Answer, BodyKind, ListQuery, Route, TaskQuery
from lodge.model.network import Lease, Network, NetworkCreate, NetworkStatus
from lodge.model.token import Scope

__all__ = ["ROUTES"]


async def list_networks(call: Call) -> Reply:
    """All networks."""
    return ListReply(call.services.networks.list())


async def create_network(call: Call) -> Reply:
    """Create one."""
    return TaskReply(await call.services.networks.create(call.body, call.actor))


async def show_network(call: Call) -> Reply:
    """One network."""
    return JsonReply(call.services.networks.get(call.path["name"]))


async def delete_network(call: Call) -> Reply:
    """Remove one."""
    return TaskReply(await call.services.networks.delete(call.path["name"], call.actor))


async def show_status(call: Call) -> Reply:
    """Whether it works."""
    return JsonReply(await call.services.networks.status(call.path["name"]))


async def list_leases(call: Call) -> Reply:
    """Addresses given out."""
    return ListReply(call.services.networks.leases(call.path["name"]))


ROUTES = (
    Route(
        method="GET",
        path="/networks",
        name="networks.list",
        scope=Scope.READ,
        summary="List networks",
        handler=list_networks,
        answer=Answer.LIST,
        value=Network,
        query=ListQuery,
        listing=Listing(Network),
    ),
    Route(
        method="POST",
        path="/networks",
        name="networks.create",
        scope=Scope.ADMIN,
        summary="Create a network on the host",
        handler=create_network,
        answer=Answer.TASK,
        query=TaskQuery,
        body=NetworkCreate,
        body_kind=BodyKind.JSON,
        examples={"nat": {"name": "lab", "kind": "nat", "ipv4": "10.77.0.1/24"}},
    ),
    Route(
        method="GET",
        path="/networks/{name}",
        name="networks.get",
        scope=Scope.READ,
        summary="Show a network",
        handler=show_network,
        value=Network,
    ),
    Route(
        method="DELETE",
        path="/networks/{name}",
        name="networks.delete",
        scope=Scope.ADMIN,
        summary="Delete a network that no instance uses",
        handler=delete_network,
        answer=Answer.TASK,
        query=TaskQuery,
    ),
    Route(
        method="GET",
        path="/networks/{name}/status",
        name="networks.status",
        scope=Scope.READ,
        summary="Show whether a network works",
        handler=show_status,
        value=NetworkStatus,
    ),
    Route(
        method="GET",
        path="/networks/{name}/leases",
        name="networks.leases",
        scope=Scope.READ,
        summary="List the addresses a network gave out",
        handler=list_leases,
        answer=Answer.LIST,
        value=Lease,
        query=ListQuery,
        listing=Listing(Lease, ("instance", "nic", "mac")),
    ),
)

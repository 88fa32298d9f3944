"""What a first start makes, so that ``lodge launch`` works at once: pool, network, profile."""

import logging
from collections.abc import Awaitable, Callable

from lodge.base.errors import LodgeError
from lodge.daemon.settings import DaemonSettings
from lodge.model.network import NetworkCreate
from lodge.model.storage import PoolCreate
from lodge.model.task import Actor, Task, TaskState
from lodge.services.networks.service import Networks
from lodge.services.pools.service import Pools
from lodge.services.profiles.service import Profiles
from lodge.store.contract import Put, Store
from lodge.tasks.contract import Tasks

__all__ = ["make_defaults"]

_LOG = logging.getLogger(__name__)
_DONE_KEY = "daemon/first-start"
_ACTOR = Actor(name="lodged", reasons=("first start",))


async def make_defaults(
    store: Store,
    tasks: Tasks,
    settings: DaemonSettings,
    pools: Pools,
    networks: Networks,
    profiles: Profiles,
) -> None:
    """Make what is missing, once: what a person deleted later stays deleted.

    A failure is logged and tried again at the next start; it never keeps the daemon from coming up.
    """
    await profiles.ensure_default()
    if store.get(_DONE_KEY) is not None:
        return
    driver = "fake" if settings.driver == "fake" else "dir"
    pool = PoolCreate(name="default", driver=driver, path=settings.default_pool_path or None)
    network = NetworkCreate(name="default", ipv4=settings.default_network_ipv4 or None)
    is_whole = await _make(
        "pool", "default" in [p.name for p in pools.list()], tasks,
        lambda: pools.create(pool, _ACTOR),
    )  # fmt: skip
    is_whole &= await _make(
        "network", "default" in [n.name for n in networks.list()], tasks,
        lambda: networks.create(network, _ACTOR),
    )  # fmt: skip
    if is_whole:
        await store.txn([], [Put(_DONE_KEY, b"{}")])


async def _make(
    what: str, exists: object, tasks: Tasks, create: Callable[[], Awaitable[Task]]
) -> bool:
    if exists:
        return True
    try:
        task = await create()
        task = await tasks.wait(task.id)
    except LodgeError as error:
        _LOG.error("cannot make the default %s: %s", what, error.message)
        return False
    if task.state is not TaskState.DONE:
        _LOG.error("cannot make the default %s: %s", what, (task.error or {}).get("message"))
        return False
    return True

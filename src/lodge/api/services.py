"""What the API needs of everything below it: one small Protocol per service.

The daemon builds the real objects and hands them over in one frozen ``Services``. The Protocols
say which part of a service the API uses, so that the API is tested over fakes that keep them and
mypy proves that the real services do.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lodge.model.answers import Setting, TokenView
from lodge.model.event import AuditRecord, Event
from lodge.model.host import Capability, Host
from lodge.model.image import CatalogueEntry, Image, ImageAdd, ImageBuild, ImageFormat
from lodge.model.network import Lease, Network, NetworkCreate, NetworkStatus
from lodge.model.profile import Profile, ProfileSpec
from lodge.model.requests import (
    ExecRequest,
    ExecResult,
    InstanceChange,
    InstanceCreate,
    InstanceView,
    Rename,
    ShutdownRequest,
)
from lodge.model.storage import Pool, PoolCreate, PoolUsage, Volume, VolumeCreate, VolumeUsage
from lodge.model.task import Actor, Task
from lodge.model.token import Scope, TokenCreate

__all__ = [
    "Access",
    "Audit",
    "ConsoleSession",
    "Events",
    "Hosts",
    "Images",
    "Instances",
    "Networks",
    "Pools",
    "Profiles",
    "Services",
    "Settings",
    "Tasks",
    "Volumes",
]


class ConsoleSession(Protocol):
    """One viewer of a serial console."""

    def output(self) -> AsyncIterator[bytes]:
        """Yield what the guest prints until the session or the instance ends."""
        ...

    async def write(self, data: bytes, /) -> None:
        """Type something."""
        ...

    async def close(self) -> None:
        """Leave."""
        ...


class Instances(Protocol):
    """What can be done to instances."""

    def list(self) -> Sequence[InstanceView]:
        """All instances; an unchanged one is the same object again."""
        ...

    def get(self, name: str, /) -> InstanceView:
        """One instance."""
        ...

    async def create(
        self, request: InstanceCreate, actor: Actor, /, *, dry_run: bool = False
    ) -> Task | None:
        """Begin to create it; a dry run only checks and returns nothing."""
        ...

    async def change(
        self, name: str, change: InstanceChange, actor: Actor, /, *, revision: int | None
    ) -> Task:
        """Change some fields, if it is still at that revision."""
        ...

    async def rename(
        self, name: str, request: Rename, actor: Actor, /, *, revision: int | None
    ) -> Task:
        """Give it another name, if it is still at that revision."""
        ...

    async def delete(self, name: str, actor: Actor, /, *, is_forced: bool) -> Task:
        """Remove it with everything it owns."""
        ...

    async def start(self, name: str, actor: Actor, /) -> Task:
        """Run it."""
        ...

    async def stop(self, name: str, actor: Actor, /) -> Task:
        """Pull the plug."""
        ...

    async def reset(self, name: str, actor: Actor, /) -> Task:
        """Press the reset button."""
        ...

    async def pause(self, name: str, actor: Actor, /) -> Task:
        """Freeze its vCPUs."""
        ...

    async def resume(self, name: str, actor: Actor, /) -> Task:
        """Let it run again."""
        ...

    async def suspend(self, name: str, actor: Actor, /) -> Task:
        """Put its memory on disk."""
        ...

    async def restart(self, name: str, request: ShutdownRequest, actor: Actor, /) -> Task:
        """Shut it down, then start it."""
        ...

    async def shutdown(self, name: str, request: ShutdownRequest, actor: Actor, /) -> Task:
        """Ask the guest to end."""
        ...

    async def execute(self, name: str, request: ExecRequest, actor: Actor, /) -> ExecResult:
        """Run a command in the guest."""
        ...

    async def console(self, name: str, /) -> ConsoleSession:
        """Open a viewer's session."""
        ...

    async def screenshot(self, name: str, /) -> bytes:
        """Return its screen as PNG."""
        ...

    def vnc_socket(self, name: str, /) -> Path:
        """Where its VNC server listens."""
        ...

    def log_files(self, name: str, /) -> Mapping[str, Sequence[Path]]:
        """Name of log to its files, oldest first."""
        ...

    def read_file(self, name: str, path: str, /) -> AsyncIterator[bytes]:
        """Yield a guest file's bytes."""
        ...

    async def write_file(
        self, name: str, path: str, data: AsyncIterator[bytes], /, *, mode: int | None
    ) -> int:
        """Write a guest file; returns the number of bytes."""
        ...


class Images(Protocol):
    """What can be done to images."""

    def list(self) -> Sequence[Image]:
        """All images."""
        ...

    def get(self, reference: str, /) -> Image:
        """One image, by alias or by the beginning of its fingerprint."""
        ...

    async def add(self, request: ImageAdd, actor: Actor, /) -> Task:
        """Begin to fetch one."""
        ...

    async def receive(
        self,
        data: AsyncIterator[bytes],
        /,
        *,
        alias: str | None,
        format: ImageFormat | None,  # noqa: A002 -- the model's own name for it
        description: str,
        actor: Actor,
    ) -> Task:
        """Take an uploaded image."""
        ...

    async def build(self, request: ImageBuild, actor: Actor, /) -> Task:
        """Begin to build one."""
        ...

    async def remove(self, reference: str, actor: Actor, /) -> Task:
        """Remove one that nobody uses."""
        ...

    async def set_aliases(self, reference: str, aliases: Sequence[str], actor: Actor, /) -> Image:
        """Give it exactly these aliases."""
        ...

    def file(self, reference: str, /) -> Path:
        """Its qcow2 file."""
        ...

    def catalogue(self) -> Sequence[CatalogueEntry]:
        """What can be fetched or built by name."""
        ...


class Pools(Protocol):
    """What can be done to storage pools."""

    def list(self) -> Sequence[Pool]:
        """All pools."""
        ...

    def get(self, name: str, /) -> Pool:
        """One pool."""
        ...

    async def create(self, request: PoolCreate, actor: Actor, /) -> Task:
        """Begin to create one."""
        ...

    async def delete(self, name: str, actor: Actor, /) -> Task:
        """Remove an empty one."""
        ...

    async def usage(self, name: str, /) -> PoolUsage:
        """How full it is."""
        ...


class Volumes(Protocol):
    """What can be done to volumes."""

    def list(self, pool: str | None = None, /) -> Sequence[Volume]:
        """All volumes, or those of one pool."""
        ...

    def get(self, pool: str, name: str, /) -> Volume:
        """One volume."""
        ...

    async def create(self, request: VolumeCreate, actor: Actor, /) -> Task:
        """Begin to create one."""
        ...

    async def resize(self, pool: str, name: str, size_bytes: int, actor: Actor, /) -> Task:
        """Grow one."""
        ...

    async def delete(self, pool: str, name: str, actor: Actor, /) -> Task:
        """Remove one that no instance owns."""
        ...

    async def usage(self, pool: str, name: str, /) -> VolumeUsage:
        """What it takes on disk."""
        ...


class Networks(Protocol):
    """What can be done to networks."""

    def list(self) -> Sequence[Network]:
        """All networks."""
        ...

    def get(self, name: str, /) -> Network:
        """One network."""
        ...

    async def create(self, request: NetworkCreate, actor: Actor, /) -> Task:
        """Begin to create one."""
        ...

    async def delete(self, name: str, actor: Actor, /) -> Task:
        """Remove one that no instance uses."""
        ...

    async def status(self, name: str, /) -> NetworkStatus:
        """Whether it works."""
        ...

    def leases(self, name: str, /) -> Sequence[Lease]:
        """Addresses given out."""
        ...


class Profiles(Protocol):
    """What can be done to profiles."""

    def list(self) -> Sequence[Profile]:
        """All profiles."""
        ...

    def entry(self, name: str, /) -> tuple[Profile, int]:
        """One profile and its revision."""
        ...

    async def put(
        self, name: str, spec: ProfileSpec, actor: Actor, /, *, revision: int | None
    ) -> Profile:
        """Create or replace it, if it is still at that revision."""
        ...

    async def delete(self, name: str, actor: Actor, /, *, revision: int | None) -> None:
        """Remove it, if it is still at that revision."""
        ...


class Hosts(Protocol):
    """What is known about this machine."""

    async def show(self) -> Host:
        """Its identity and size."""
        ...

    async def check(self) -> Sequence[Capability]:
        """What it can do, probed."""
        ...


class Access(Protocol):
    """Who may do what."""

    async def authenticate(self, secret: str, address: str, /) -> tuple[Actor, Scope]:
        """Return who a bearer secret stands for."""
        ...

    async def create_token(self, request: TokenCreate, actor: Actor, /) -> tuple[TokenView, str]:
        """Make a token; the secret is returned this once."""
        ...

    def tokens(self) -> Sequence[TokenView]:
        """All tokens."""
        ...

    async def revoke(self, token: str, actor: Actor, /) -> None:
        """End a token's life."""
        ...


class Tasks(Protocol):
    """The part of the task engine that callers see."""

    def get(self, task_id: str, /) -> Task:
        """One task, with live progress."""
        ...

    def list(self) -> Sequence[Task]:
        """All tasks in the history, newest first."""
        ...

    async def wait(self, task_id: str, /, timeout_s: float | None = None) -> Task:
        """Return it once it is final, or as it is when the time is over."""
        ...

    async def cancel(self, task_id: str, /, actor: Actor) -> Task:
        """Ask for its end."""
        ...


class Events(Protocol):
    """What happened, in order. ``first`` > ``last`` while nothing is kept."""

    @property
    def first(self) -> int:
        """Id of the oldest event kept."""
        ...

    @property
    def last(self) -> int:
        """Id of the newest event."""
        ...

    def since(self, event_id: int, /) -> Sequence[Event]:
        """Events later than that id that are kept, oldest first."""
        ...

    def follow(self, event_id: int, /) -> AsyncIterator[Event]:
        """Yield events later than that id, and go on as they happen."""
        ...


class Audit(Protocol):
    """Who asked what, with what result."""

    def list(self) -> Sequence[AuditRecord]:
        """All records kept, oldest first."""
        ...

    async def record(
        self,
        actor: Actor,
        action: str,
        target: str,
        /,
        *,
        result: str,
        task: str | None,
        params: Mapping[str, Any],
    ) -> None:
        """Keep one record."""
        ...


class Settings(Protocol):
    """The daemon's settings."""

    def list(self) -> Sequence[Setting]:
        """All settings with their present values."""
        ...

    async def set(self, name: str, value: Any, actor: Actor, /) -> None:
        """Change one; null brings the default back."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the API serves. ``revision`` returns the store's newest revision."""

    instances: Instances
    images: Images
    pools: Pools
    volumes: Volumes
    networks: Networks
    profiles: Profiles
    hosts: Hosts
    access: Access
    tasks: Tasks
    events: Events
    audit: Audit
    settings: Settings
    revision: Callable[[], int]

"""An API over named fakes that keep its Protocols; access, profiles, events and audit are real."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from lodge.api.server import ApiServer, ApiSettings
from lodge.api.services import Services
from lodge.base.errors import ConflictError, InvalidError, NotFoundError
from lodge.base.names import check_instance_name, check_name
from lodge.base.world import RealWorld
from lodge.model.answers import Setting
from lodge.model.host import Capability, CapabilityState, Host
from lodge.model.image import (
    CatalogueEntry,
    Image,
    ImageAdd,
    ImageBuild,
    ImageFormat,
    ImageOrigin,
)
from lodge.model.instance import InstanceKind, InstanceSpec, InstanceState, InstanceStatus, Power
from lodge.model.network import Lease, Network, NetworkCreate, NetworkKind, NetworkStatus
from lodge.model.requests import (
    ExecRequest,
    ExecResult,
    InstanceChange,
    InstanceCreate,
    InstanceView,
    Rename,
    ShutdownRequest,
)
from lodge.model.storage import (
    Pool,
    PoolCreate,
    PoolUsage,
    Volume,
    VolumeCreate,
    VolumeFormat,
    VolumeUsage,
)
from lodge.model.task import Actor, Task, TaskState
from lodge.services.access.service import Access
from lodge.services.profiles.service import Profiles
from lodge.store.audit import AuditLog
from lodge.store.events import EventLog
from lodge.store.sqlite.store import SqliteStore

PNG = b"\x89PNG\r\n\x1a\n"


class MissingError(NotFoundError):
    code = "lab_missing"


class TakenError(ConflictError):
    code = "lab_taken"


class BadSettingError(InvalidError):
    code = "lab_bad_setting"


def view(name: str, number: int = 0, **changes: Any) -> InstanceView:
    """An instance as the API shows it."""
    facts: dict[str, Any] = {
        "name": name,
        "id": f"i{number:07d}",
        "kind": InstanceKind.VM,
        "state": InstanceState.RUNNING if number % 2 else InstanceState.STOPPED,
        "spec": InstanceSpec(memory_mib=512 + number, tags=("even",) if number % 2 == 0 else ()),
        "status": InstanceStatus(power=Power.RUNNING, addresses=(f"10.0.{number // 250}.9",)),
        "wanted": "running",
        "driver": "fake",
        "machine_version": "pc-q35-7.2",
        "image_name": "tiny",
        "created_at": 1000.0 + number,
        "updated_at": 1000.0,
        "revision": number + 1,
    }
    return InstanceView(**{**facts, **changes})


class FakeTasks:
    """Tasks that are done at once, or when a test says so."""

    def __init__(self) -> None:
        self.known: dict[str, Task] = {}
        self.ends_at_once = True
        self._changed = asyncio.Event()

    def begin(self, kind: str, target: str, actor: Actor, **result: Any) -> Task:
        task = Task(
            id=f"t{len(self.known) + 1:06d}",
            kind=kind,
            target=target,
            params={},
            actor=actor,
            locks=(),
            state=TaskState.DONE if self.ends_at_once else TaskState.RUNNING,
            steps=(),
            created_at=float(len(self.known)),
            result=result or None,
        )
        self.known[task.id] = task
        return task

    def end(self, task_id: str, state: TaskState, error: dict[str, Any] | None = None) -> None:
        self.known[task_id] = msgspec.structs.replace(self.known[task_id], state=state, error=error)
        self._changed.set()
        self._changed = asyncio.Event()

    def get(self, task_id: str, /) -> Task:
        if task_id not in self.known:
            raise MissingError(f"no task {task_id!r}")
        return self.known[task_id]

    def list(self) -> Sequence[Task]:
        return list(reversed(self.known.values()))

    async def wait(self, task_id: str, /, timeout_s: float | None = None) -> Task:
        if not self.get(task_id).state.is_final:
            try:
                await asyncio.wait_for(self._changed.wait(), timeout_s)
            except TimeoutError:
                return self.get(task_id)
        return self.get(task_id)

    async def cancel(self, task_id: str, /, actor: Actor) -> Task:
        if not self.get(task_id).state.is_final:
            self.end(task_id, TaskState.CANCELLED)
        return self.get(task_id)


class FakeConsole:
    """A console that repeats what is typed."""

    def __init__(self) -> None:
        self.typed: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_closed = False

    async def output(self) -> AsyncIterator[bytes]:
        yield b"login: "
        while True:
            yield await self.typed.get()

    async def write(self, data: bytes, /) -> None:
        await self.typed.put(data)

    async def close(self) -> None:
        self.is_closed = True


class FakeInstances:
    """Instances in a dictionary."""

    def __init__(self, tasks: FakeTasks, folder: Path) -> None:
        self.known: dict[str, InstanceView] = {}
        self.tasks = tasks
        self.folder = folder
        self.files: dict[str, bytes] = {"/etc/hostname": b"web1\n"}
        self.consoles: list[FakeConsole] = []
        self.executed: list[ExecRequest] = []
        self.exec_delay_s = 0.0
        self._order: list[InstanceView] | None = None

    def add(self, *views: InstanceView) -> None:
        self.known.update({one.name: one for one in views})
        self._order = None

    def list(self) -> Sequence[InstanceView]:
        if self._order is None:
            self._order = [self.known[name] for name in sorted(self.known)]
        return self._order

    def get(self, name: str, /) -> InstanceView:
        if name not in self.known:
            raise MissingError(f"no instance {name!r}", where=f"instances/{name}")
        return self.known[name]

    async def create(
        self, request: InstanceCreate, actor: Actor, /, *, dry_run: bool = False
    ) -> Task | None:
        check_instance_name(request.name)
        if request.name in self.known:
            raise TakenError(f"instance {request.name!r} exists")
        if dry_run:
            return None
        self.add(view(request.name, len(self.known)))
        return self.tasks.begin("instance.create", f"instances/{request.name}", actor)

    async def change(
        self, name: str, change: InstanceChange, actor: Actor, /, *, revision: int | None
    ) -> Task:
        old = self.get(name)
        self.add(msgspec.structs.replace(old, revision=old.revision + 1))
        return self._act("change", name, actor)

    async def rename(
        self, name: str, request: Rename, actor: Actor, /, *, revision: int | None
    ) -> Task:
        check_instance_name(request.name)
        old = self.known.pop(self.get(name).name)
        self.add(msgspec.structs.replace(old, name=request.name))
        return self._act("rename", request.name, actor)

    async def delete(self, name: str, actor: Actor, /, *, is_forced: bool) -> Task:
        task = self._act("delete", name, actor)
        del self.known[name]
        self._order = None
        return task

    def _act(self, verb: str, name: str, actor: Actor) -> Task:
        self.get(name)
        return self.tasks.begin(f"instance.{verb}", f"instances/{name}", actor)

    async def start(self, name: str, actor: Actor, /) -> Task:
        return self._act("start", name, actor)

    async def stop(self, name: str, actor: Actor, /) -> Task:
        return self._act("stop", name, actor)

    async def reset(self, name: str, actor: Actor, /) -> Task:
        return self._act("reset", name, actor)

    async def pause(self, name: str, actor: Actor, /) -> Task:
        return self._act("pause", name, actor)

    async def resume(self, name: str, actor: Actor, /) -> Task:
        return self._act("resume", name, actor)

    async def suspend(self, name: str, actor: Actor, /) -> Task:
        return self._act("suspend", name, actor)

    async def restart(self, name: str, request: ShutdownRequest, actor: Actor, /) -> Task:
        return self._act("restart", name, actor)

    async def shutdown(self, name: str, request: ShutdownRequest, actor: Actor, /) -> Task:
        return self._act("shutdown", name, actor)

    async def execute(self, name: str, request: ExecRequest, actor: Actor, /) -> ExecResult:
        self.get(name)
        self.executed.append(request)
        await asyncio.sleep(self.exec_delay_s)
        return ExecResult(exit_status=3, signal=None, stdout=request.stdin or "", stderr="b29wcw==")

    async def console(self, name: str, /) -> FakeConsole:
        self.get(name)
        self.consoles.append(FakeConsole())
        return self.consoles[-1]

    async def screenshot(self, name: str, /) -> bytes:
        self.get(name)
        return PNG

    def vnc_socket(self, name: str, /) -> Path:
        self.get(name)
        return self.folder / "vnc"

    def log_files(self, name: str, /) -> Mapping[str, Sequence[Path]]:
        self.get(name)
        return {"serial": [self.folder / "serial.log.1", self.folder / "serial.log"]}

    async def read_file(self, name: str, path: str, /) -> AsyncIterator[bytes]:
        self.get(name)
        if path not in self.files:
            raise MissingError(f"no file {path!r}", where=path)
        yield self.files[path]

    async def write_file(
        self, name: str, path: str, data: AsyncIterator[bytes], /, *, mode: int | None
    ) -> int:
        self.get(name)
        self.files[path] = b"".join([chunk async for chunk in data])
        return len(self.files[path])


class FakeImages:
    """Images in a dictionary; an upload is counted, not kept."""

    def __init__(self, tasks: FakeTasks, folder: Path) -> None:
        self.tasks = tasks
        self.folder = folder
        self.received = 0
        self.known = {"0123456789ab" + "0" * 52: _image("0123456789ab" + "0" * 52, "tiny")}

    def list(self) -> Sequence[Image]:
        return list(self.known.values())

    def get(self, reference: str, /) -> Image:
        for image in self.known.values():
            if reference in image.aliases or (
                len(reference) >= 8 and image.fingerprint.startswith(reference)
            ):
                return image
        raise MissingError(f"no image {reference!r}", where=f"images/{reference}")

    async def add(self, request: ImageAdd, actor: Actor, /) -> Task:
        return self.tasks.begin("image.add", f"images/{request.alias or 'new'}", actor)

    async def receive(
        self,
        data: AsyncIterator[bytes],
        /,
        *,
        alias: str | None,
        format: ImageFormat | None,  # noqa: A002
        description: str,
        actor: Actor,
    ) -> Task:
        async for chunk in data:
            self.received += len(chunk)
        return self.tasks.begin("image.import", f"images/{alias}", actor, bytes=self.received)

    async def build(self, request: ImageBuild, actor: Actor, /) -> Task:
        return self.tasks.begin("image.build", f"images/{request.recipe}", actor)

    async def remove(self, reference: str, actor: Actor, /) -> Task:
        return self.tasks.begin("image.delete", self.get(reference).fingerprint, actor)

    async def set_aliases(self, reference: str, aliases: Sequence[str], actor: Actor, /) -> Image:
        for alias in aliases:
            check_name(alias, what="image alias", where="aliases")
        image = msgspec.structs.replace(self.get(reference), aliases=tuple(aliases))
        self.known[image.fingerprint] = image
        return image

    def file(self, reference: str, /) -> Path:
        self.get(reference)
        path = self.folder / "disk.qcow2"
        path.write_bytes(b"QFI\xfb" + bytes(1000))
        return path

    def catalogue(self) -> Sequence[CatalogueEntry]:
        return [CatalogueEntry(name="tiny", description="small", os="linux", recipe="tiny")]


def _image(fingerprint: str, alias: str) -> Image:
    return Image(
        fingerprint=fingerprint,
        aliases=(alias,),
        description="",
        os="linux",
        architecture="x86_64",
        origin=ImageOrigin.BUILT,
        source="tiny",
        virtual_bytes=1 << 30,
        file_bytes=1 << 20,
        created_at=1.0,
    )


class FakePools:
    """Pools in a dictionary."""

    def __init__(self, tasks: FakeTasks) -> None:
        self.tasks = tasks
        self.known = {"default": Pool(name="default", driver="dir", path="/p", created_at=1.0)}

    def list(self) -> Sequence[Pool]:
        return list(self.known.values())

    def get(self, name: str, /) -> Pool:
        if name not in self.known:
            raise MissingError(f"no pool {name!r}")
        return self.known[name]

    async def create(self, request: PoolCreate, actor: Actor, /) -> Task:
        check_name(request.name, what="pool")
        if request.name in self.known:
            raise TakenError(f"pool {request.name!r} exists")
        self.known[request.name] = Pool(
            name=request.name, driver=request.driver, path=request.path or "/p", created_at=1.0
        )
        return self.tasks.begin("pool.create", f"pools/{request.name}", actor)

    async def delete(self, name: str, actor: Actor, /) -> Task:
        del self.known[self.get(name).name]
        return self.tasks.begin("pool.delete", f"pools/{name}", actor)

    async def usage(self, name: str, /) -> PoolUsage:
        self.get(name)
        return PoolUsage(total_bytes=100, free_bytes=60, allocated_bytes=40, promised_bytes=200)


class FakeVolumes:
    """Volumes in a dictionary."""

    def __init__(self, tasks: FakeTasks) -> None:
        self.tasks = tasks
        self.known: dict[tuple[str, str], Volume] = {}

    def list(self, pool: str | None = None, /) -> Sequence[Volume]:
        return [volume for volume in self.known.values() if pool in (None, volume.pool)]

    def get(self, pool: str, name: str, /) -> Volume:
        if (pool, name) not in self.known:
            raise MissingError(f"no volume {pool}/{name}")
        return self.known[pool, name]

    async def create(self, request: VolumeCreate, actor: Actor, /) -> Task:
        check_name(request.name, what="volume")
        self.known[request.pool, request.name] = Volume(
            name=request.name,
            pool=request.pool,
            size_bytes=request.size_bytes or 1,
            format=VolumeFormat.QCOW2,
            created_at=1.0,
        )
        return self.tasks.begin("volume.create", f"volumes/{request.name}", actor)

    async def resize(self, pool: str, name: str, size_bytes: int, actor: Actor, /) -> Task:
        self.get(pool, name)
        return self.tasks.begin("volume.resize", f"volumes/{name}", actor)

    async def delete(self, pool: str, name: str, actor: Actor, /) -> Task:
        self.get(pool, name)
        del self.known[pool, name]
        return self.tasks.begin("volume.delete", f"volumes/{name}", actor)

    async def usage(self, pool: str, name: str, /) -> VolumeUsage:
        self.get(pool, name)
        return VolumeUsage(virtual_bytes=1, allocated_bytes=1, shared_bytes=0)


class FakeNetworks:
    """Networks in a dictionary."""

    def __init__(self, tasks: FakeTasks) -> None:
        self.tasks = tasks
        self.known = {"default": _network("default")}

    def list(self) -> Sequence[Network]:
        return list(self.known.values())

    def get(self, name: str, /) -> Network:
        if name not in self.known:
            raise MissingError(f"no network {name!r}")
        return self.known[name]

    async def create(self, request: NetworkCreate, actor: Actor, /) -> Task:
        check_name(request.name, what="network")
        self.known[request.name] = _network(request.name)
        return self.tasks.begin("network.create", f"networks/{request.name}", actor)

    async def delete(self, name: str, actor: Actor, /) -> Task:
        del self.known[self.get(name).name]
        return self.tasks.begin("network.delete", f"networks/{name}", actor)

    async def status(self, name: str, /) -> NetworkStatus:
        self.get(name)
        return NetworkStatus(is_up=True, dns_answers=True)

    def leases(self, name: str, /) -> Sequence[Lease]:
        self.get(name)
        return [Lease(network=name, instance="web1", nic="eth0", mac="02:00:00:00:00:01")]


def _network(name: str) -> Network:
    facts = {"id": "n1", "kind": NetworkKind.NAT, "ipv4": "10.1.0.1/24", "ipv6": None, "mtu": 1500}
    return msgspec.convert({**facts, "name": name, "domain": "x", "created_at": 1.0}, Network)


class FakeHosts:
    """A small machine."""

    async def show(self) -> Host:
        return Host(
            name="h1",
            id="h",
            cpus=2,
            memory_mib=2048,
            free_memory_mib=1024,
            kernel="6.1",
            lodge_version="0",
            accelerator="tcg",
            accelerator_reason="no KVM",
            uptime_s=1.0,
            load_1m=0.5,
        )

    async def check(self) -> Sequence[Capability]:
        return [Capability(name="kvm", state=CapabilityState.MISSING, found="none")]


class FakeSettings:
    """One setting."""

    def __init__(self) -> None:
        self.level: Any = "info"

    def list(self) -> Sequence[Setting]:
        return [
            Setting(
                name="log_level",
                value=self.level,
                default="info",
                description="what is logged",
                takes_effect="now",
            )
        ]

    async def set(self, name: str, value: Any, actor: Actor, /) -> None:
        if name != "log_level" or value not in ("info", "debug", None):
            raise BadSettingError(f"{name!r} cannot be {value!r}", where=f"settings.{name}")
        self.level = value or "info"


@dataclass
class Lab:
    """A running API and everything behind it."""

    server: ApiServer
    socket: Path
    folder: Path
    store: SqliteStore
    tasks: FakeTasks
    instances: FakeInstances
    images: FakeImages
    access: Access
    events: EventLog
    audit: AuditLog
    services: Services
    session: aiohttp.ClientSession
    extra: dict[str, Any] = field(default_factory=dict)

    async def ask(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """One request over the socket: status and decoded JSON (None when there is no body)."""
        async with self.session.request(method, f"http://lodge{path}", **options) as answer:
            data = await answer.read()
            return answer.status, msgspec.json.decode(data) if data else None


@asynccontextmanager
async def running_api(
    *, change: Callable[[ApiSettings], ApiSettings] | None = None
) -> AsyncIterator[Lab]:
    """Serve the whole API over fakes on a unix socket in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="api-lab-") as text:
        folder = Path(text)
        world = RealWorld()
        store = await SqliteStore.open(folder, world, backups_kept=0)
        events, audit = EventLog(store, world), AuditLog(store, world)
        access, profiles = Access(store, world, events), Profiles(store, world, events)
        await profiles.ensure_default()
        tasks = FakeTasks()
        instances, images = FakeInstances(tasks, folder), FakeImages(tasks, folder)
        services = Services(
            instances=instances,
            images=images,
            pools=FakePools(tasks),
            volumes=FakeVolumes(tasks),
            networks=FakeNetworks(tasks),
            profiles=profiles,
            hosts=FakeHosts(),
            access=access,
            tasks=tasks,
            events=events,
            audit=audit,
            settings=FakeSettings(),
            revision=lambda: store.revision,
        )
        settings = ApiSettings(socket=folder / "api.sock", lodge_version="0.1.0")
        settings = change(settings) if change else settings
        server = ApiServer(services, settings, world)
        await server.start()
        session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(settings.socket)))
        try:
            yield Lab(
                server,
                settings.socket,
                folder,
                store,
                tasks,
                instances,
                images,
                access,
                events,
                audit,
                services,
                session,
            )
        finally:
            await session.close()
            await server.stop()
            await store.close()

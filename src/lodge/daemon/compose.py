"""The composition root: which parts there are, and which of them know each other."""

from dataclasses import dataclass
from pathlib import Path

from lodge.api.services import Services
from lodge.base.world import World
from lodge.daemon.config import SettingsFile
from lodge.daemon.settings import DaemonSettings
from lodge.drivers.builder.registry import load_builder
from lodge.drivers.instance.contract import InstanceDriver
from lodge.drivers.instance.registry import InstanceDriverSetup, load_instance_driver
from lodge.drivers.network.contract import NetworkDriver
from lodge.drivers.network.registry import load_network_driver
from lodge.drivers.storage.registry import storage_driver
from lodge.model.verbs import Verb
from lodge.services.access.service import Access
from lodge.services.hosts.service import Hosts
from lodge.services.images.service import ImageParts, Images
from lodge.services.instances.boot import InstanceBoot
from lodge.services.instances.change import ChangeInstance, RenameInstance
from lodge.services.instances.create import CreateInstance
from lodge.services.instances.delete import DeleteInstance
from lodge.services.instances.folders import InstanceFolders
from lodge.services.instances.graceful import GracefulKind
from lodge.services.instances.planner import Planner
from lodge.services.instances.power import POWER_KINDS, PowerKind
from lodge.services.instances.registry import InstanceRegistry
from lodge.services.instances.resolve import HostSize
from lodge.services.instances.runtime import Runtime
from lodge.services.instances.service import InstanceParts, Instances
from lodge.services.instances.settle import SettleInstance
from lodge.services.instances.watch import InstanceWatch
from lodge.services.networks.service import Networks
from lodge.services.pools.guard import GuardedGuests, SpaceGuard
from lodge.services.pools.registry import PoolRegistry
from lodge.services.pools.service import PoolFolders, Pools
from lodge.services.profiles.service import Profiles
from lodge.services.volumes.registry import VolumeRegistry
from lodge.services.volumes.service import Volumes
from lodge.store.audit import AuditLog
from lodge.store.contract import Store
from lodge.store.events import EventLog
from lodge.system import procfs
from lodge.system.cgroup import Cgroups, open_cgroups
from lodge.tasks.engine import Engine, History

__all__ = ["Parts", "compose"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the daemon starts, watches and closes."""

    engine: Engine
    services: Services
    images: Images
    pools: Pools
    networks: Networks
    profiles: Profiles
    boot: InstanceBoot
    watch: InstanceWatch
    guard: SpaceGuard
    instance_driver: InstanceDriver
    network_driver: NetworkDriver


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every service stands on."""

    settings: DaemonSettings
    world: World
    store: Store
    events: EventLog
    engine: Engine


def compose(settings: DaemonSettings, world: World, store: Store) -> Parts:
    """Make all parts; nothing is started and no program is run yet."""
    events = EventLog(store, world)
    audit = AuditLog(store, world)
    engine = Engine(store, world, events, audit, history=History(keep=settings.task_history))
    ground = _Ground(settings, world, store, events, engine)
    cgroups = open_cgroups(prefix=settings.cgroup_parent)
    instance_driver = _instance_driver(ground, cgroups)
    images = _images(ground)
    pool_registry = PoolRegistry(store, storage_driver)
    pools = _pools(ground, pool_registry)
    volumes = Volumes(VolumeRegistry(pool_registry, images, events, world), engine)
    network_driver = load_network_driver(
        "fake" if settings.driver == "fake" else "bridge",
        state_dir=settings.state_dir / "networks",
        run_dir=settings.run_dir / "networks",
        world=world,
    )
    networks = Networks(store, engine, network_driver, world, events=events)
    profiles = Profiles(store, world, events)
    planner = Planner(
        InstanceFolders(settings.state_dir, settings.run_dir),
        volumes,
        networks,
        images,
        {instance_driver.name: instance_driver},
    )
    runtime = Runtime(InstanceRegistry(store), planner, world)
    host = HostSize(cpus=procfs.cpu_count(), memory_mib=procfs.memory().total_mib)
    instances = Instances(InstanceParts(runtime, profiles, engine, store, host))
    _register(engine, runtime, volumes, networks, host)
    watch = InstanceWatch(runtime, engine, events)
    watch.attach(instance_driver)
    services = Services(
        instances=instances,
        images=images,
        pools=pools,
        volumes=volumes,
        networks=networks,
        profiles=profiles,
        hosts=Hosts([instance_driver], cgroups, settings.state_dir, world, name=settings.host_name),
        access=Access(store, world, events),
        tasks=engine,
        events=events,
        audit=audit,
        settings=SettingsFile(settings),
        revision=lambda: store.revision,
    )
    return Parts(
        engine=engine,
        services=services,
        images=images,
        pools=pools,
        networks=networks,
        profiles=profiles,
        boot=InstanceBoot(runtime, watch, engine, settings.run_dir),
        watch=watch,
        guard=SpaceGuard(
            pool_registry,
            events,
            world,
            GuardedGuests(hold=instances.hold_for_space, release=instances.release_space),
        ),
        instance_driver=instance_driver,
        network_driver=network_driver,
    )


def _instance_driver(ground: _Ground, cgroups: Cgroups) -> InstanceDriver:
    settings = ground.settings
    options = {"probe_timeout_s": settings.kvm_probe_timeout_s}
    setup = InstanceDriverSetup(
        world=ground.world,
        state_dir=settings.state_dir,
        cgroups=cgroups,
        options=options if settings.driver == "qemu" else {},
    )
    return load_instance_driver(settings.driver, setup)


def _images(ground: _Ground) -> Images:
    return Images(
        ImageParts(
            store=ground.store,
            tasks=ground.engine,
            events=ground.events,
            world=ground.world,
            root=ground.settings.state_dir / "images",
            builders=lambda recipe: load_builder(recipe, ground.world),
        )
    )


def _pools(ground: _Ground, registry: PoolRegistry) -> Pools:
    state: Path = ground.settings.state_dir
    folders = PoolFolders(
        root=state / "pools",
        reserved=(state / "images", state / "instances", state / "tls", ground.settings.run_dir),
    )
    return Pools(registry, ground.engine, ground.events, ground.world, folders)


def _register(
    engine: Engine, runtime: Runtime, volumes: Volumes, networks: Networks, host: HostSize
) -> None:
    """Make every kind of task on instances known; the other services register their own."""
    engine.register(CreateInstance(runtime, volumes, networks))
    engine.register(DeleteInstance(runtime, volumes, networks))
    engine.register(ChangeInstance(runtime, host))
    engine.register(RenameInstance(runtime, networks))
    engine.register(SettleInstance(runtime))
    for verb, move in POWER_KINDS.items():
        engine.register(PowerKind(runtime, verb, move))
    for verb in (Verb.SHUTDOWN, Verb.RESTART):
        engine.register(GracefulKind(runtime, verb))

"""The composition root: which parts there are, and which of them know each other."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lodge.api.services import Services
from lodge.base.world import World
from lodge.daemon.config import SettingsFile
from lodge.daemon.settings import DaemonSettings
from lodge.drivers.builder.contract import ImageBuilder
from lodge.drivers.builder.fake.driver import FakeBuilder
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

__all__ = ["Parts", "Resources", "compose"]


@dataclass(frozen=True, slots=True)
class Resources:
    """The services that instances are made of."""

    images: Images
    pools: Pools
    volumes: Volumes
    networks: Networks
    profiles: Profiles


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything the daemon starts, watches and closes."""

    engine: Engine
    services: Services
    resources: Resources
    boot: InstanceBoot
    watch: InstanceWatch
    guard: SpaceGuard
    instance_driver: InstanceDriver
    network_driver: NetworkDriver
    hosts: Hosts


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
    network_driver = _network_driver(ground)
    images = _images(ground)
    pool_registry = PoolRegistry(store, storage_driver)
    profiles = Profiles(store, world, events)
    resources = Resources(
        images=images,
        pools=_pools(ground, pool_registry, profiles),
        volumes=Volumes(VolumeRegistry(pool_registry, images, events, world), engine),
        networks=Networks(
            store,
            engine,
            network_driver,
            world,
            other_users=profiles.with_network,
            events=events,
        ),
        profiles=profiles,
    )
    runtime = _runtime(ground, resources, instance_driver)
    instances = _instances(ground, resources, runtime)
    watch = InstanceWatch(runtime, engine, events)
    watch.attach(instance_driver)
    hosts = Hosts([instance_driver], cgroups, settings.state_dir, world, name=settings.host_name)
    services = Services(
        instances=instances,
        images=images,
        pools=resources.pools,
        volumes=resources.volumes,
        networks=resources.networks,
        profiles=resources.profiles,
        hosts=hosts,
        access=Access(store, world, events),
        tasks=engine,
        events=events,
        audit=audit,
        settings=SettingsFile(settings),
        revision=lambda: store.revision,
    )
    guests = GuardedGuests(hold=instances.hold_for_space, release=instances.release_space)
    return Parts(
        engine=engine,
        services=services,
        resources=resources,
        boot=InstanceBoot(runtime, watch, engine, settings.run_dir),
        watch=watch,
        guard=SpaceGuard(pool_registry, events, world, guests),
        instance_driver=instance_driver,
        network_driver=network_driver,
        hosts=hosts,
    )


def _runtime(ground: _Ground, resources: Resources, driver: InstanceDriver) -> Runtime:
    planner = Planner(
        InstanceFolders(ground.settings.state_dir, ground.settings.run_dir),
        resources.volumes,
        resources.networks,
        resources.images,
        {driver.name: driver},
    )
    return Runtime(InstanceRegistry(ground.store, ground.events), planner, ground.world)


def _instances(ground: _Ground, resources: Resources, runtime: Runtime) -> Instances:
    """Make the service, and every kind of task on instances known to the engine."""
    host = HostSize(cpus=procfs.cpu_count(), memory_mib=procfs.memory().total_mib)
    engine = ground.engine
    engine.register(CreateInstance(runtime, resources.volumes, resources.networks))
    engine.register(DeleteInstance(runtime, resources.volumes, resources.networks))
    engine.register(ChangeInstance(runtime, host))
    engine.register(RenameInstance(runtime, resources.networks))
    engine.register(SettleInstance(runtime))
    for verb, move in POWER_KINDS.items():
        engine.register(PowerKind(runtime, verb, move))
    for verb in (Verb.SHUTDOWN, Verb.RESTART):
        engine.register(GracefulKind(runtime, verb))
    parts = InstanceParts(runtime, resources.profiles, engine, ground.store, host)
    return Instances(parts)


def _network_driver(ground: _Ground) -> NetworkDriver:
    settings = ground.settings
    return load_network_driver(
        "fake" if settings.driver == "fake" else "bridge",
        state_dir=settings.state_dir / "networks",
        run_dir=settings.run_dir / "networks",
        world=ground.world,
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
            builders=partial(_builder, ground),
        )
    )


def _builder(ground: _Ground, recipe: str) -> ImageBuilder:
    """Return what builds a recipe here; with the fake driver nothing that is built needs to boot.

    Raises:
        RecipeNotFoundError: there is no such recipe.
    """
    builder = load_builder(recipe, ground.world)
    return FakeBuilder(ground.world) if ground.settings.driver == "fake" else builder


def _pools(ground: _Ground, registry: PoolRegistry, profiles: Profiles) -> Pools:
    state: Path = ground.settings.state_dir
    folders = PoolFolders(
        root=state / "pools",
        reserved=(state / "images", state / "instances", state / "tls", ground.settings.run_dir),
    )
    return Pools(
        registry,
        ground.engine,
        ground.events,
        ground.world,
        folders,
        other_users=profiles.with_pool,
    )

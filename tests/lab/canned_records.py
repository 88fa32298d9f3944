"""Records as a daemon would answer them, all at fixed times; NOW is when tests look at them."""

from typing import Any

from lodge.model.event import AuditRecord, Event
from lodge.model.host import Capability, CapabilityState, Host
from lodge.model.image import CatalogueEntry, Image, ImageOrigin
from lodge.model.instance import (
    BootSpec,
    CpuSpec,
    DiskSpec,
    InstanceKind,
    InstanceSpec,
    InstanceState,
    InstanceStatus,
    NicSpec,
    Power,
)
from lodge.model.network import Lease, Network, NetworkKind, NetworkStatus
from lodge.model.profile import Profile, ProfileSpec
from lodge.model.requests import InstanceView, TaskAnswer
from lodge.model.storage import Pool, PoolUsage, Volume, VolumeFormat, VolumeUsage
from lodge.model.task import Actor, Progress, Step, StepState, Task, TaskState

NOW = 1_800_000_000.0
GIB = 1 << 30


def instance(name: str = "web1", **changed: Any) -> InstanceView:
    fields: dict[str, Any] = {
        "name": name,
        "id": "0a1b2c3d4e5f",
        "kind": InstanceKind.VM,
        "state": InstanceState.RUNNING,
        "spec": InstanceSpec(
            description="the shop",
            tags=("live", "shop"),
            image="f" * 64,
            profiles=("default",),
            cpu=CpuSpec(count=2),
            memory_mib=2048,
            boot=BootSpec(),
            disks=(DiskSpec(name="root", pool="default", volume=f"{name}-root"),),
            nics=(NicSpec(name="eth0", network="default", mac="52:54:00:00:00:01"),),
        ),
        "status": InstanceStatus(
            power=Power.RUNNING,
            observed_at=NOW - 1,
            started_at=NOW - 7500,
            addresses=("fe80::1", "10.17.0.12", "fd00::12"),
            agent_answers=True,
            accelerator="kvm",
        ),
        "wanted": "running",
        "driver": "qemu",
        "machine_version": "pc-q35-7.2",
        "image_name": "debian-12",
        "created_at": NOW - 2 * 86400,
        "updated_at": NOW - 60,
        "revision": 42,
    }
    return InstanceView(**{**fields, **changed})


def stopped(name: str, *, memory_mib: int = 512, reason: str = "") -> InstanceView:
    return instance(
        name,
        id="b00000000001",
        state=InstanceState.ERROR if reason else InstanceState.STOPPED,
        spec=InstanceSpec(cpu=CpuSpec(count=1), memory_mib=memory_mib),
        status=InstanceStatus(power=Power.STOPPED, observed_at=NOW, reason=reason),
        wanted="stopped",
        image_name="",
        created_at=NOW - 30,
    )


INSTANCES = (
    instance(),
    stopped("db", memory_mib=16384),
    stopped("a-very-long-name-of-an-instance", reason="QEMU died: signal 9"),
)


def task(state: TaskState = TaskState.DONE, **changed: Any) -> Task:
    fields: dict[str, Any] = {
        "id": "1m83j7wfc8163",
        "kind": "instance.start",
        "target": "instances/web1",
        "params": {},
        "actor": Actor(name="root", via="socket", reasons=("asked",)),
        "locks": ("instance:web1",),
        "state": state,
        "steps": (Step(name="start", state=StepState.DONE),),
        "created_at": NOW - 10,
        "started_at": NOW - 9,
        "ended_at": NOW - 4 if state.is_final else None,
    }
    return Task(**{**fields, **changed})


def answer(state: TaskState = TaskState.DONE, **changed: Any) -> TaskAnswer:
    made = task(state, **changed)
    return TaskAnswer(task=made, result=made.result)


def downloading(done: int, total: int | None) -> Task:
    progress = Progress(done=done, total=total, started_at=NOW - 10, note="mirror 1")
    steps = (
        Step(name="download", state=StepState.RUNNING, progress=progress),
        Step(name="convert"),
    )
    return task(TaskState.RUNNING, kind="image.add", target="images/debian-12", steps=steps)


IMAGE = Image(
    fingerprint="3fa9c2d17e01" + "0" * 52,
    aliases=("debian-12", "stable"),
    description="Debian 12",
    os="debian-12",
    architecture="x86_64",
    origin=ImageOrigin.BUILT,
    source="recipe debian-12",
    virtual_bytes=4 * GIB,
    file_bytes=350 << 20,
    created_at=NOW - 3600,
    has_kernel=True,
    has_agent=True,
    default_user="debian",
)
CATALOGUE = CatalogueEntry(
    name="debian-12", description="Debian 12, built here", os="debian-12", recipe="debian-12"
)
POOL = Pool(name="default", driver="dir", path="/srv/pool", created_at=NOW - 86400)
USAGE = PoolUsage(
    total_bytes=100 * GIB, free_bytes=60 * GIB, allocated_bytes=9 * GIB, promised_bytes=250 * GIB
)
VOLUME = Volume(
    name="web1-root",
    pool="default",
    size_bytes=10 * GIB,
    format=VolumeFormat.QCOW2,
    created_at=NOW - 600,
    image="3fa9c2d17e01" + "0" * 52,
    owner="0a1b2c3d4e5f",
)
VOLUME_USAGE = VolumeUsage(virtual_bytes=10 * GIB, allocated_bytes=1 << 20, shared_bytes=GIB)
NETWORK = Network(
    name="default",
    id="5d701e38",
    kind=NetworkKind.NAT,
    ipv4="10.17.0.1/24",
    ipv6="fd00::1/64",
    domain="lodge",
    mtu=1500,
    created_at=NOW - 86400,
)
NETWORK_STATUS = NetworkStatus(is_up=True, dns_answers=True)
LEASE = Lease(
    network="default", instance="web1", nic="eth0", mac="52:54:00:00:00:01", ipv4="10.17.0.12"
)
PROFILE = Profile(
    name="big", spec=ProfileSpec(cpus=8, memory_mib=32768, disk_bytes=200 * GIB), created_at=NOW
)
HOST = Host(
    name="vm1",
    id="d138cb01",
    cpus=8,
    memory_mib=65536,
    free_memory_mib=40960,
    kernel="6.1.0",
    lodge_version="0.1.0",
    accelerator="tcg",
    accelerator_reason="/dev/kvm is missing",
    uptime_s=90000.0,
    load_1m=0.5,
    api_urls=("https://127.0.0.1:8443",),
    certificate_fingerprint="SHA256:ab:cd",
)
CHECKS = (
    Capability(
        name="kvm",
        state=CapabilityState.MISSING,
        found="no /dev/kvm",
        cost="guests run ten times slower",
        fix="switch virtualization on in the firmware",
    ),
    Capability(name="qemu", state=CapabilityState.OK, found="7.2", is_required=True),
)
EVENTS = (
    Event(id=7, kind="instance.started", at=NOW - 20, target="instances/web1", trace="t1"),
    Event(id=8, kind="task.done", at=NOW - 19, target="tasks/1", data={"state": "done"}),
)
AUDIT = AuditRecord(
    id=3,
    at=NOW - 20,
    actor=Actor(name="ci", via="https", address="192.0.2.7"),
    action="instances.start",
    target="instances/web1",
    result="accepted",
)

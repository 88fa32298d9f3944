"""What must be true of a whole host at rest, and what it looks like without chance."""

import json
from pathlib import Path
from typing import Any

from instance_lab import Life

from lodge.drivers.network.fake.driver import FakeNetworks
from lodge.model.instance import Drift, Instance, Power, drift


async def wrongs(life: Life) -> list[str]:
    """Everything that does not agree with something else; nothing may be under way."""
    found = [f"task {t.id} is {t.state}" for t in life.tasks if not t.state.is_final]
    found += [f"lock {entry.key}" for entry in life.store.list("locks/")[0]]
    for record in _records(life):
        found += _instance_wrongs(life, record)
    found += await _volume_wrongs(life)
    found += _lease_wrongs(life)
    found += _network_wrongs(life)
    found += _folder_wrongs(life)
    return found


def _records(life: Life) -> list[Instance]:
    return list(life.instances._registry.all())


def _instance_wrongs(life: Life, record: Instance) -> list[str]:
    found = []
    state = life.house.state / "instances" / record.id
    runs = _fake_state(life, record.id) is not None
    power = life.instances._registry.status(record.id).power
    if drift(record.wanted, power) is not Drift.NONE:
        found.append(f"{record.name}: wanted {record.wanted}, seen {power}")
    if runs != (record.handle is not None):
        found.append(f"{record.name}: runs {runs}, handle {record.handle}")
    seed = state / "seed.iso"
    if not seed.exists() or f"local-hostname: {record.name}\n".encode() not in seed.read_bytes():
        found.append(f"{record.name}: its seed is not of this name")
    if (state / "memory.saved").exists() != (power is Power.SUSPENDED):
        found.append(f"{record.name}: is {power}, saved memory {not power}")
    found += [f"{record.name}: {p.name}" for p in state.glob("memory.[pl]*")]
    volumes = {(v.pool, v.name): v for v in life.parts.resources.volumes.list()}
    for disk in record.spec.disks:
        volume = volumes.get((disk.pool, disk.volume))
        if volume is None or volume.owner != record.id:
            found.append(f"{record.name}: its disk {disk.volume} is {volume}")
    for nic in record.spec.nics:
        leases = life.parts.resources.networks.leases(nic.network)
        if not any(
            (lease.instance, lease.nic, lease.mac, lease.ipv4)
            == (record.name, nic.name, nic.mac, nic.ipv4)
            for lease in leases
        ):
            found.append(f"{record.name}: no lease for {nic}")
    return found


def _fake_state(life: Life, instance_id: str) -> dict[str, Any] | None:
    path = life.house.run / "instances" / instance_id / "fake.json"
    return json.loads(path.read_text()) if path.exists() else None


async def _volume_wrongs(life: Life) -> list[str]:
    owners = {record.id for record in _records(life)}
    volumes = life.parts.resources.volumes.list()
    found = [f"volume {v.name} of nobody" for v in volumes if v.owner and v.owner not in owners]
    for pool in life.parts.resources.pools.list():
        kept = await (await life.pool(pool.name)).volumes()
        known = sorted(v.name for v in volumes if v.pool == pool.name)
        if kept != known:
            found.append(f"pool {pool.name} holds {kept}, records say {known}")
        for volume in volumes:
            if volume.pool == pool.name:
                usage = await (await life.pool(pool.name)).volume_usage(volume.name)
                if usage.virtual_bytes != volume.size_bytes:
                    found.append(f"volume {volume.name}: {usage}, record {volume.size_bytes}")
    return found


def _lease_wrongs(life: Life) -> list[str]:
    names = {record.name for record in _records(life)}
    leases = [
        lease
        for network in life.parts.resources.networks.list()
        for lease in life.parts.resources.networks.leases(network.name)
    ]
    found = [f"lease of nobody: {lease}" for lease in leases if lease.instance not in names]
    expected = {f"macs/{lease.mac}" for lease in leases}
    expected |= {f"addresses/{lease.network}/{lease.ipv4}" for lease in leases if lease.ipv4}
    for prefix in ("macs/", "addresses/"):
        kept = {entry.key for entry in life.store.list(prefix)[0]}
        found += [f"{key} kept for nobody" for key in kept - expected]
        found += [f"{key} missing" for key in expected - kept if key.startswith(prefix)]
    return found


def _network_wrongs(life: Life) -> list[str]:
    driver = life.parts.network_driver
    assert isinstance(driver, FakeNetworks)
    networks = life.parts.resources.networks.list()
    found = [f"network {n.name} is {n.state}" for n in networks if n.state.value != "ready"]
    if set(driver._up) != {network.id for network in networks}:
        found.append(f"networks up: {[n.name for n in driver._up.values()]}")
    for network in networks:
        told = {(x.instance, x.mac) for x in driver.leases_of(network)}
        known = {(x.instance, x.mac) for x in life.parts.resources.networks.leases(network.name)}
        if told != known:
            found.append(f"network {network.name} gives out {told}, records say {known}")
    return found


def _folder_wrongs(life: Life) -> list[str]:
    state, run = life.house.state, life.house.run
    records = {record.id for record in _records(life)}
    running = {record.id for record in _records(life) if record.handle}
    images = {image.fingerprint for image in life.parts.resources.images.list()}
    pools = {Path(pool.path) for pool in life.parts.resources.pools.list()}
    found = []
    for what, folder, known in (
        ("instance", state / "instances", records),
        ("running", run / "instances", running),
        ("image", state / "images", images),
    ):
        kept = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        if kept != known:
            found.append(f"{what} folders {sorted(kept)}, records say {sorted(known)}")
    found += [f"left: {path}" for path in (state / "images").glob(".*/*")]
    if set((state / "pools").iterdir()) != pools:
        found.append(f"pools {list((state / 'pools').iterdir())}")
    return found


def facts(life: Life) -> dict[str, Any]:
    """The host without ids, times and chance: equal after equal histories."""
    parts = life.parts
    return {
        "instances": {
            record.name: {
                "state": life.view(record.name).state.value,
                "wanted": record.wanted.value,
                "cpus": record.spec.cpu.count,
                "memory": record.spec.memory_mib,
                "nics": [(nic.name, nic.network) for nic in record.spec.nics],
            }
            for record in _records(life)
        },
        "volumes": sorted(
            (v.pool, v.size_bytes, v.name if v.owner is None else "owned")
            for v in parts.resources.volumes.list()
        ),
        "pools": sorted(pool.name for pool in parts.resources.pools.list()),
        "networks": sorted(network.name for network in parts.resources.networks.list()),
        "images": sorted(sorted(image.aliases) for image in parts.resources.images.list()),
    }


def guest_of(life: Life, name: str) -> dict[str, Any] | None:
    """What a fake guest is: another process would have another start."""
    return _fake_state(life, life.record(name).id)

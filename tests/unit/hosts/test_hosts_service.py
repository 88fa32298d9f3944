"""What the host tells of itself, with drivers that know more and drivers that know nothing."""

import asyncio
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from lodge import __version__
from lodge.base.world import RealWorld
from lodge.drivers.instance.contract import Acceleration
from lodge.drivers.instance.errors import InstanceDriverUnknownError
from lodge.drivers.instance.fake.driver import FakeInstances
from lodge.drivers.instance.registry import (
    InstanceDriverSetup,
    instance_driver_names,
    load_instance_driver,
)
from lodge.model.host import Capability, CapabilityState
from lodge.services.hosts.programs import PROGRAMS
from lodge.services.hosts.service import Hosts, host_id
from lodge.system.cgroup import open_cgroups
from lodge.system.errors import ProgramMissingError


class _Knowing(FakeInstances):
    """A driver that knows how its instances run, and one thing about the host."""

    async def acceleration(self) -> Acceleration:
        return Acceleration("kvm", "a guest came up", is_proven=True)

    async def capabilities(self) -> Sequence[Capability]:
        return [Capability(name="kvm", state=CapabilityState.OK, found="it runs")]


class _Bare(_Knowing):
    """A driver whose program is not installed."""

    async def acceleration(self) -> Acceleration:
        raise ProgramMissingError("the program 'qemu' is not installed", where="qemu")


def _hosts(tmp_path: Path, *drivers: FakeInstances, name: str = "") -> Hosts:
    return Hosts(drivers, open_cgroups(mountinfo=""), tmp_path, RealWorld(), name=name)


def test_a_host_tells_its_name_size_and_accelerator(tmp_path: Path) -> None:
    hosts = _hosts(tmp_path, FakeInstances(RealWorld()), _Knowing(RealWorld()), name="h1")
    shown = asyncio.run(hosts.show())
    assert shown.name == "h1"
    assert shown.id == host_id(tmp_path, RealWorld())
    assert (shown.accelerator, shown.accelerator_reason) == ("kvm", "a guest came up")
    assert shown.lodge_version == __version__
    assert 0 < shown.free_memory_mib <= shown.memory_mib
    assert shown.cpus >= 1


def test_a_host_without_a_name_uses_the_machines(tmp_path: Path) -> None:
    assert asyncio.run(_hosts(tmp_path).show()).name


def test_a_host_that_runs_no_vms_says_so(tmp_path: Path) -> None:
    found = asyncio.run(_hosts(tmp_path, FakeInstances(RealWorld())).accelerator())
    assert found.name == "none"
    assert "drivers: fake" in found.reason


def test_a_host_whose_driver_lacks_its_program_can_be_shown(tmp_path: Path) -> None:
    shown = asyncio.run(_hosts(tmp_path, _Bare(RealWorld())).show())
    assert shown.accelerator == "none"
    assert shown.accelerator_reason == "the program 'qemu' is not installed"


def test_the_hosts_id_is_made_once_and_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    first = host_id(tmp_path, RealWorld())
    assert uuid.UUID(first).version == 4
    assert host_id(tmp_path, RealWorld()) == first
    (tmp_path / "host-id").write_text("nonsense")
    assert host_id(tmp_path, RealWorld()) != first


@pytest.mark.root
def test_every_check_tells_its_cost_and_cure_when_it_fails(tmp_path: Path) -> None:
    found = asyncio.run(_hosts(tmp_path, _Knowing(RealWorld())).check())
    names = [capability.name for capability in found]
    assert len(set(names)) == len(names)
    assert names[0] == "kvm"
    assert {"bridge", "tap", "nftables", "cgroups", "privileges", "disk-room", "clock"} <= set(
        names
    )
    assert {program.name for program in PROGRAMS} <= set(names)
    for capability in found:
        assert capability.found
        if capability.state is not CapabilityState.OK:
            assert capability.cost, capability.name
            assert capability.fix, capability.name
    cgroups = next(capability for capability in found if capability.name == "cgroups")
    assert cgroups.state is CapabilityState.MISSING
    assert cgroups.found == "no cgroup file system is mounted"
    assert [entry.name for entry in tmp_path.iterdir()] == ["host-id"]


@pytest.mark.root
def test_the_check_leaves_the_hosts_own_network_alone(tmp_path: Path) -> None:
    asyncio.run(_hosts(tmp_path).check())
    assert not [entry for entry in Path("/sys/class/net").iterdir() if "probe" in entry.name]


def test_a_program_that_is_not_installed_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lodge.system.process._ENVIRONMENT", {"PATH": str(tmp_path)})
    found = {capability.name: capability for capability in asyncio.run(_hosts(tmp_path).check())}
    for program in PROGRAMS:
        lost = found[program.name]
        assert lost.state is CapabilityState.MISSING
        assert lost.found == f"the program {program.name!r} is not installed"
        assert lost.fix == f"install the package {program.package}"
        assert lost.is_required == program.is_required
    for name in ("bridge", "tap", "nftables"):
        assert found[name].state is CapabilityState.MISSING


@pytest.mark.parametrize("name", ["qemu", "fake"])
def test_instance_drivers_are_made_by_name(tmp_path: Path, name: str) -> None:
    driver = load_instance_driver(name, InstanceDriverSetup(RealWorld(), tmp_path))
    assert driver.name == name
    assert name in instance_driver_names()


def test_an_unknown_instance_driver_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InstanceDriverUnknownError) as refused:
        load_instance_driver("xen", InstanceDriverSetup(RealWorld(), tmp_path))
    assert "'xen'" in refused.value.message
    assert "fake, qemu" in refused.value.hint

"""Places of devices: unique, remembered, and never moved by somebody else's coming or going."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.drivers.instance.contract import AttachedDisk, AttachedNic, InstancePlan
from lodge.drivers.instance.qemu.addresses import (
    MAX_PORTS,
    PORTS_KEY,
    assign,
    mmio_place,
    port_address,
    wanted_devices,
)
from lodge.drivers.instance.qemu.errors import TooManyDevicesError
from lodge.model.instance import DiskBus, InstanceSpec, MachineType

NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,14}", fullmatch=True)
BUSES = st.sampled_from(DiskBus)
DISKS = st.dictionaries(NAMES, BUSES, max_size=6)
NICS = st.lists(NAMES, unique=True, max_size=5)


def plan_of(disks: dict[str, DiskBus], nics: list[str], machine: MachineType) -> InstancePlan:
    here = Path("/x")
    return InstancePlan(
        id="i1",
        name="web1",
        spec=InstanceSpec(machine=machine),
        machine_version="any",
        uid=600_000,
        run_dir=here,
        state_dir=here,
        disks=tuple(AttachedDisk(name, here, "raw", bus=bus) for name, bus in disks.items()),
        nics=tuple(AttachedNic(name, "52:54:00:00:00:01", 1500) for name in nics),
    )


@given(
    steps=st.lists(st.tuples(DISKS, NICS), min_size=1, max_size=5),
    machine=st.sampled_from(MachineType),
)
def test_a_device_keeps_its_place_whatever_comes_and_goes(
    steps: list[tuple[dict[str, DiskBus], list[str]]], machine: MachineType
) -> None:
    known: dict[str, str] = {}
    buses: dict[str, DiskBus] = {}
    for disks, nics in steps:
        steady = {name: buses.setdefault(name, bus) for name, bus in disks.items()}
        plan = plan_of(steady, nics, machine)
        places = assign(plan, known)
        wanted = wanted_devices(plan)
        assert {name: places[name] for name in wanted if name in known} == {
            name: known[name] for name in wanted if name in known
        }
        used = [places[name] for name in wanted]
        assert len(set(used)) == len(used)
        assert assign(plan, places) == places
        known = places


@given(disks=DISKS, nics=NICS)
def test_the_machine_has_a_port_for_every_device_and_the_spare_ones(
    disks: dict[str, DiskBus], nics: list[str]
) -> None:
    places = assign(plan_of(disks, nics, MachineType.Q35), spare_ports=3)
    used = [int(place[4:]) for place in places.values() if place.startswith("port")]
    assert int(places[PORTS_KEY]) == len(used) + 3


def test_ports_do_not_grow_while_all_devices_are_known() -> None:
    plan = plan_of({"root": DiskBus.VIRTIO}, ["eth0"], MachineType.Q35)
    known = {"disk-root": "port0", "nic-eth0": "port1", PORTS_KEY: "2"}
    assert assign(plan, known, spare_ports=8) == known


def test_a_removed_device_keeps_its_place_reserved_for_its_return() -> None:
    both = plan_of({"root": DiskBus.VIRTIO, "data": DiskBus.VIRTIO}, [], MachineType.Q35)
    first = assign(both)
    without = plan_of({"root": DiskBus.VIRTIO}, ["eth0"], MachineType.Q35)
    second = assign(without, first)
    assert second["nic-eth0"] == "port2"
    assert assign(both, second)["disk-data"] == first["disk-data"] == "port1"


def test_when_nothing_else_is_left_the_place_of_a_removed_device_is_given_away() -> None:
    full = {f"disk-d{number}": f"port{number}" for number in range(MAX_PORTS)}
    plan = plan_of({"root": DiskBus.VIRTIO}, [], MachineType.Q35)
    places = assign(plan, full)
    assert places["disk-root"] == "port0"
    assert "disk-d0" not in places


@pytest.mark.parametrize(
    ("bus", "machine", "limit"),
    [
        (DiskBus.VIRTIO, MachineType.Q35, 64),
        (DiskBus.SATA, MachineType.Q35, 6),
        (DiskBus.SCSI, MachineType.Q35, 255),
        (DiskBus.VIRTIO, MachineType.MICROVM, 17),
    ],
)
def test_one_device_too_many_is_refused_with_the_number_of_places(
    bus: DiskBus, machine: MachineType, limit: int
) -> None:
    fits = {f"d{number}": bus for number in range(limit)}
    assign(plan_of(fits, [], machine))
    with pytest.raises(TooManyDevicesError) as refused:
        assign(plan_of({**fits, "more": bus}, [], machine))
    assert refused.value.details["places"] == limit


@pytest.mark.parametrize("damaged", ["", "port", "port99", "port-1", "lun0", "port٣", "x" * 999])
def test_a_damaged_record_of_a_place_is_replaced(damaged: str) -> None:
    plan = plan_of({"root": DiskBus.VIRTIO}, [], MachineType.Q35)
    places = assign(plan, {"disk-root": damaged, PORTS_KEY: damaged})
    assert places == {"disk-root": "port0", PORTS_KEY: "5"}


def test_all_port_addresses_differ_and_stay_clear_of_the_chipset() -> None:
    addresses = [port_address(index) for index in range(MAX_PORTS)]
    assert len(set(addresses)) == MAX_PORTS
    slots = {int(address.split(".")[0], 16) for address in addresses}
    assert slots == set(range(0x10, 0x18))


def test_a_microvm_puts_its_first_device_where_the_guest_looks_first(
    make_plan: Callable[..., InstancePlan],
) -> None:
    places = assign(make_plan(machine=MachineType.MICROVM))
    assert mmio_place("disk-root", places) == "virtio-mmio-bus.23"
    assert mmio_place("nic-eth0", places) == "virtio-mmio-bus.22"
    fixed = {mmio_place(name, {}) for name in ("seed", "vsock0", "serialbus0", "balloon0", "rng0")}
    free = {mmio_place("d", {"d": f"mmio{index}"}) for index in range(17)}
    assert len(fixed | free) == 22

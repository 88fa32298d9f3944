"""Everything but disks: root ports, nics, consoles, agent, screen, helpers of the guest."""

from collections.abc import Iterator

from lodge.drivers.instance.contract import InstancePlan
from lodge.drivers.instance.qemu.addresses import (
    PORTS_KEY,
    RootSlot,
    mmio_place,
    nic_id,
    port_address,
)
from lodge.drivers.instance.qemu.render.facts import LaunchFacts
from lodge.drivers.instance.qemu.render.machine import is_microvm, machine_uuid
from lodge.drivers.instance.qemu.render.text import device, option
from lodge.model.instance import DiskBus

__all__ = ["agent", "guest_helpers", "monitor", "nics", "root_ports", "screen", "serial_console"]


def root_ports(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """PCIe ports: one per device that can be unplugged, some free, one for the seed.

    ``chassis`` and ``slot`` number the physical slots that the guest's device names come from.
    Ports without I/O space (``io-reserve=0``) save the few that 64 KiB of port space allow; all
    our devices are virtio 1, which needs none.
    """
    if is_microvm(plan):
        return
    for index in range(int(facts.addresses[PORTS_KEY])):
        yield from device(
            "pcie-root-port",
            id=f"port{index}",
            bus="pcie.0",
            addr=port_address(index),
            multifunction=True if index % 8 == 0 else None,
            chassis=index + 1,
            slot=index + 1,
            **{"io-reserve": 0},
        )
    if plan.seed is not None:
        yield from device(
            "pcie-root-port",
            id="port-seed",
            bus="pcie.0",
            addr=f"{RootSlot.SEED_PORT:#04x}.0x0",
            chassis=200,
            slot=200,
            **{"io-reserve": 0},
        )


def nics(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """Network devices on tap descriptors that were opened outside."""
    for nic in plan.nics:
        name = nic_id(nic.name)
        netdev = f"net-{nic.name}"
        yield from ("-netdev", option("tap", id=netdev, fd=facts.tap_fds[nic.name]))
        if is_microvm(plan):
            yield from device(
                "virtio-net-device",
                id=name,
                netdev=netdev,
                mac=nic.mac,
                host_mtu=nic.mtu,
                bus=mmio_place(name, facts.addresses),
            )
        else:
            yield from device(
                "virtio-net-pci",
                id=name,
                netdev=netdev,
                mac=nic.mac,
                host_mtu=nic.mtu,
                bus=facts.addresses[name],
                addr="0x0",
                romfile="",  # no boot from the network: saves firmware time
            )


def monitor(facts: LaunchFacts) -> Iterator[str]:
    """The QMP socket."""
    yield from ("-chardev", _server("qmp", facts))
    yield from ("-mon", "chardev=qmp,mode=control")


def _server(name: str, facts: LaunchFacts, **more: str | bool) -> str:
    path = getattr(facts.sockets, name)
    return option("socket", id=name, path=path, server=True, wait=False, **more)


def serial_console(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """The first serial port: a socket for people, and everything said also in a log file."""
    yield from (
        "-chardev",
        _server("console", facts, logfile=str(facts.serial_log), logappend=True),
    )
    if is_microvm(plan):  # the board has the port already
        yield from ("-serial", "chardev:console")
    else:
        yield from device("isa-serial", id="console0", chardev="console", index=0)


def agent(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """The channel of the guest agent, under the name the agent looks for."""
    yield from ("-chardev", _server("agent", facts))
    yield from _fixed(plan, facts, "virtio-serial", "serialbus0", RootSlot.SERIAL_BUS)
    yield from device(
        "virtserialport",
        id="agent0",
        bus="serialbus0.0",
        nr=1,
        chardev="agent",
        name="org.qemu.guest_agent.0",
    )


def screen(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """A VGA card and VNC on a unix socket; a microvm has neither."""
    if is_microvm(plan):
        return
    yield from device("VGA", id="video0", bus="pcie.0", addr=f"{RootSlot.VIDEO:#04x}", vgamem_mb=16)
    yield from device("virtio-tablet-pci", id="tablet0", **_slot(RootSlot.TABLET))
    yield from ("-vnc", option(f"unix:{str(facts.sockets.vnc).replace(',', ',,')}"))


def guest_helpers(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    """Randomness, balloon, SCSI controller, vsock, panic notice, watchdog, generation id."""
    yield from ("-object", "rng-builtin,id=random")
    yield from _fixed(plan, facts, "virtio-rng", "rng0", RootSlot.RNG, rng="random")
    yield from _fixed(
        plan,
        facts,
        "virtio-balloon",
        "balloon0",
        RootSlot.BALLOON,
        **{"deflate-on-oom": True, "free-page-reporting": True},
    )
    if facts.vsock is not None:
        ends = {"guest-cid": facts.vsock.cid, "vhostfd": facts.vsock.fd}
        yield from _fixed(plan, facts, "vhost-vsock", "vsock0", RootSlot.VSOCK, **ends)
    if is_microvm(plan):
        return
    if any(DiskBus(disk.bus) is DiskBus.SCSI for disk in plan.disks):
        yield from device("virtio-scsi-pci", id="scsi0", **_slot(RootSlot.SCSI))
    yield from device("pvpanic", id="panic0", ioport="0x505")
    generation = facts.generation_id or machine_uuid(plan.id)
    yield from device("vmgenid", id="generation0", guid=generation)
    # The chipset's own watchdog is wired to nothing unless told so (noreboot strap, ICH9).
    yield from ("-global", "ICH9-LPC.noreboot=off")


def _fixed(
    plan: InstancePlan,
    facts: LaunchFacts,
    driver: str,
    name: str,
    slot: int,
    **more: str | int | bool,
) -> tuple[str, str]:
    """Write a device that every machine has at the same place."""
    if is_microvm(plan):
        return device(f"{driver}-device", id=name, bus=mmio_place(name, facts.addresses), **more)
    return device(f"{driver}-pci", id=name, **_slot(slot), **more)


def _slot(slot: int) -> dict[str, str]:
    return {"bus": "pcie.0", "addr": f"{slot:#04x}"}

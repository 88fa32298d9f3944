"""The whole command line, in a fixed order."""

from collections.abc import Iterator
from typing import Final

from lodge.drivers.instance.contract import InstancePlan
from lodge.drivers.instance.qemu.machines import PROGRAM
from lodge.drivers.instance.qemu.render import devices, disks, machine
from lodge.drivers.instance.qemu.render.facts import LaunchFacts
from lodge.drivers.instance.qemu.render.text import option

__all__ = ["SANDBOX", "render"]

# QEMU forbids itself old system calls, more rights, children and changes of its own limits
# (qemu(1), -sandbox). Without children "exec:" is gone too: memory is saved through "fd:".
SANDBOX: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""Rights QEMU gives up."""


def render(plan: InstancePlan, facts: LaunchFacts) -> tuple[str, ...]:
    """Turn a plan that passed ``check_plan`` into QEMU's arguments, the program's name first.

    The machine does not run until it is told to (``-S``). Nothing is implicit: no default
    device, no user configuration, no format found by looking into a file.
    """
    return tuple(_arguments(plan, facts))


def _arguments(plan: InstancePlan, facts: LaunchFacts) -> Iterator[str]:
    yield PROGRAM
    yield from _process(plan)
    yield from machine.board(plan, facts)
    yield from machine.cpus(plan, facts)
    yield from machine.memory(plan, facts)
    yield from machine.firmware(plan, facts)
    yield from machine.kernel(plan, facts)
    yield from devices.monitor(facts)
    yield from devices.root_ports(plan, facts)
    yield from disks.disk_nodes(plan, facts)
    yield from devices.guest_helpers(plan, facts)
    yield from disks.disk_devices(plan, facts)
    yield from disks.seed(plan, facts)
    yield from devices.nics(plan, facts)
    yield from devices.agent(plan, facts)
    yield from devices.serial_console(plan, facts)
    yield from devices.screen(plan, facts)
    if facts.is_incoming:
        yield from ("-incoming", "defer")


def _process(plan: InstancePlan) -> Iterator[str]:
    yield from ("-name", option(f"guest={plan.name}", debug_threads=True))
    yield from ("-uuid", machine.machine_uuid(plan.id))
    yield from ("-nodefaults", "-no-user-config", "-display", "none", "-S")
    yield from ("-sandbox", SANDBOX, "-msg", "timestamp=on")
    yield from ("-rtc", "base=utc" if machine.is_microvm(plan) else "base=utc,driftfix=slew")
    # A panic pauses the machine, so that its last screen and memory can still be looked at.
    yield from ("-action", "reboot=reset,shutdown=poweroff,panic=pause,watchdog=reset")

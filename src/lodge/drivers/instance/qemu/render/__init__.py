"""Pure: an instance's plan and what was decided outside, to QEMU's whole command line."""

from lodge.drivers.instance.qemu.render.checks import check_plan
from lodge.drivers.instance.qemu.render.command import SANDBOX, render
from lodge.drivers.instance.qemu.render.facts import LaunchFacts, Sockets, Vsock
from lodge.drivers.instance.qemu.render.machine import cpu_model, machine_uuid

__all__ = [
    "SANDBOX",
    "LaunchFacts",
    "Sockets",
    "Vsock",
    "check_plan",
    "cpu_model",
    "machine_uuid",
    "render",
]

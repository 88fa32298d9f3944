"""Put the QEMU driver together from what the daemon gives."""

from pathlib import Path

from lodge.drivers.instance.qemu.driver import Qemu
from lodge.drivers.instance.qemu.options import read_options
from lodge.drivers.instance.qemu.probe import AccelerationProbe
from lodge.drivers.instance.registry import InstanceDriverSetup

__all__ = ["make_qemu"]


def make_qemu(setup: InstanceDriverSetup) -> Qemu:
    """Make the driver; KVM is proven with the host's own kernel or one of an image.

    Raises:
        InvalidOptionError: a setting is malformed.
    """
    probe = AccelerationProbe(
        setup.state_dir / "acceleration.json",
        setup.world,
        kernels=(Path("/boot"), setup.state_dir / "images"),
    )
    options = read_options(setup.options)
    return Qemu(setup.world, options, cgroups=setup.cgroups, probe=probe)

"""Put the fake driver together from what the daemon gives."""

from lodge.drivers.instance.fake.driver import FakeInstances
from lodge.drivers.instance.registry import InstanceDriverSetup

__all__ = ["make_fake"]


def make_fake(setup: InstanceDriverSetup) -> FakeInstances:
    """Make the driver; it has no settings."""
    return FakeInstances(setup.world)

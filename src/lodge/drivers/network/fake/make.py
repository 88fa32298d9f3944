"""How the registry makes the fake driver."""

from pathlib import Path

from lodge.base.world import World
from lodge.drivers.network.fake.driver import FakeNetworks

__all__ = ["make_fake"]


def make_fake(_state_dir: Path, run_dir: Path, _world: World) -> FakeNetworks:
    """Make the driver; what is up is kept in the run folder."""
    return FakeNetworks(run_dir)

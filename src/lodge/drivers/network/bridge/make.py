"""How the registry makes the bridge driver."""

from pathlib import Path

from lodge.base.world import World
from lodge.drivers.network.bridge.driver import Bridge
from lodge.drivers.network.bridge.options import BridgeOptions

__all__ = ["make_bridge"]


def make_bridge(state_dir: Path, run_dir: Path, world: World) -> Bridge:
    """Make the driver with its default options."""
    return Bridge(BridgeOptions(state_dir=state_dir, run_dir=run_dir), world)

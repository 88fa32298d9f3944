"""The places of an instance's devices, kept in its state folder for as long as it exists."""

from pathlib import Path

import msgspec

from lodge.drivers.instance.contract import InstancePlan
from lodge.drivers.instance.qemu.addresses import assign
from lodge.system.files import write_whole

__all__ = ["places_of"]


def _file(state_dir: Path) -> Path:
    return state_dir / "places.json"


def places_of(plan: InstancePlan, *, spare_ports: int) -> dict[str, str]:
    """Return where each device of the plan sits, giving new devices places that then stay.

    A damaged file is treated as none: places are given anew in the order of the plan, which is
    how they were given at first.

    Raises:
        TooManyDevicesError: the machine has no place left.
        DiskFullError: no room to keep them.
    """
    path = _file(plan.state_dir)
    try:
        known = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.MsgspecError):
        known = {}
    places = assign(plan, known, spare_ports=spare_ports)
    if places != known:
        write_whole(path, msgspec.json.encode(places))
    return places

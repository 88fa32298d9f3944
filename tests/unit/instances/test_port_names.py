"""Names of the taps that nics are plugged into."""

from lodge.model.instance import Instance, InstanceSpec, NicSpec, Power
from lodge.services.instances.planner import port_name

IFNAMSIZ = 16  # with the final NUL


def test_nics_with_like_names_get_taps_of_their_own() -> None:
    nics = tuple(NicSpec(name=f"{side}-eth0", network="lab") for side in ("in", "out"))
    record = Instance(
        id="0a1b2c3d4e5f",
        name="web1",
        spec=InstanceSpec(nics=nics),
        wanted=Power.STOPPED,
        driver="fake",
        machine_version="",
        uid=1,
        created_at=0,
        updated_at=0,
    )
    names = [port_name(record, nic) for nic in nics]
    assert len(set(names)) == len(nics)
    assert all(len(name) < IFNAMSIZ for name in names)

"""Merging: later profiles win, the request wins over all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodge.model.instance import BootSpec, CloudInitSpec, CrashPolicy, Firmware, MachineType
from lodge.model.profile import ProfileSpec
from lodge.model.requests import InstanceCreate
from lodge.services.profiles.errors import UnknownProfileError
from lodge.services.profiles.merge import merge_profiles
from lodge.services.profiles.service import DEFAULT_PROFILE

PROFILES = {
    "default": DEFAULT_PROFILE,
    "large": ProfileSpec(cpus=8, memory_mib=16384, tags=("large",)),
    "huge": ProfileSpec(cpus=64, on_crash=CrashPolicy.STOP),
    "keys": ProfileSpec(cloud_init=CloudInitSpec(ssh_keys=("team",), user_data="a")),
    "micro": ProfileSpec(machine=MachineType.MICROVM, boot=BootSpec(firmware=Firmware.DIRECT)),
    "lonely": ProfileSpec(networks=()),
}


def test_a_bare_request_gets_the_built_in_profile() -> None:
    found = merge_profiles(InstanceCreate(name="a"), PROFILES)
    assert (found.cpus, found.memory_mib, found.pool) == (1, 1024, "default")
    assert found.networks == ("default",)
    assert found.disk_bytes is None


def test_no_profile_at_all_leaves_plain_values() -> None:
    found = merge_profiles(InstanceCreate(name="a", profiles=()), {})
    assert (found.cpus, found.memory_mib, found.networks, found.tags) == (1, 1024, (), ())


def test_the_later_profile_wins_and_the_request_wins_over_both() -> None:
    request = InstanceCreate(name="a", profiles=("default", "large", "huge"), memory_mib=512)
    found = merge_profiles(request, PROFILES)
    assert (found.cpus, found.memory_mib, found.tags) == (64, 512, ("large",))
    assert found.on_crash is CrashPolicy.STOP


def test_an_empty_list_is_a_wish_and_not_an_absence() -> None:
    request = InstanceCreate(name="a", profiles=("default", "lonely"))
    assert merge_profiles(request, PROFILES).networks == ()
    request = InstanceCreate(name="a", profiles=("large",), tags=())
    assert merge_profiles(request, PROFILES).tags == ()


def test_cloud_init_is_merged_part_by_part_and_keys_add_up() -> None:
    mine = CloudInitSpec(ssh_keys=("mine", "team"), vendor_data="v")
    request = InstanceCreate(name="a", profiles=("keys",), cloud_init=mine)
    found = merge_profiles(request, PROFILES).cloud_init
    assert found == CloudInitSpec(user_data="a", vendor_data="v", ssh_keys=("team", "mine"))


def test_machine_and_firmware_come_from_a_profile() -> None:
    found = merge_profiles(InstanceCreate(name="a", profiles=("micro",)), PROFILES)
    assert found.machine is MachineType.MICROVM
    assert found.boot == BootSpec(firmware=Firmware.DIRECT)


def test_an_unknown_profile_is_named_with_its_place() -> None:
    with pytest.raises(UnknownProfileError, match="'gone'") as refused:
        merge_profiles(InstanceCreate(name="a", profiles=("default", "gone")), PROFILES)
    assert refused.value.where == "profiles[1]"


@given(st.lists(st.sampled_from(sorted(PROFILES)), max_size=5), st.none() | st.integers(1, 99))
def test_every_value_comes_from_the_strongest_layer_that_has_one(
    chosen: list[str], cpus: int | None
) -> None:
    found = merge_profiles(InstanceCreate(name="a", profiles=tuple(chosen), cpus=cpus), PROFILES)
    layers = [cpus, *(PROFILES[name].cpus for name in reversed(chosen)), 1]
    assert found.cpus == next(value for value in layers if value is not None)

"""Every instance driver, each with folders of its own; a new driver adds itself to RIGS."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from qemu_lab import bare_plan, guest_folder, remove_cgroups

from lodge.base.world import RealWorld
from lodge.drivers.instance.contract import Handle, InstanceDriver, InstancePlan
from lodge.drivers.instance.fake.driver import FakeInstances
from lodge.drivers.instance.qemu.driver import Qemu
from lodge.system.cgroup import open_cgroups


class Rig(Protocol):
    """How the suite makes a driver anew, as a restarted daemon does, and hurts an instance."""

    folder: Path

    def driver(self) -> InstanceDriver: ...

    def kill(self, driver: Any, plan: InstancePlan, handle: Handle) -> None: ...


class FakeRig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def driver(self) -> InstanceDriver:
        return FakeInstances(RealWorld())

    def kill(self, driver: FakeInstances, plan: InstancePlan, handle: Handle) -> None:
        driver.crash(plan.id, plan.run_dir)


class QemuRig:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def driver(self) -> InstanceDriver:
        return Qemu(RealWorld(), cgroups=open_cgroups(prefix="lodge-contract"))

    def kill(self, driver: Qemu, plan: InstancePlan, handle: Handle) -> None:
        os.kill(handle["pid"], signal.SIGKILL)


RIGS: dict[str, Callable[[Path], Rig]] = {"fake": FakeRig, "qemu": QemuRig}


@pytest.fixture(params=["fake", pytest.param("qemu", marks=pytest.mark.slow)])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with guest_folder() as folder:
        made = RIGS[request.param](folder)
        yield made
        _leave_nothing(made)
        remove_cgroups("lodge-contract")


def _leave_nothing(rig: Rig) -> None:
    async def clean() -> None:
        driver = rig.driver()
        for name in ("one", "two"):
            await driver.forget(name, rig.folder / "run" / name)
        await driver.close()

    asyncio.run(clean())


@pytest.fixture
def plan(rig: Rig) -> InstancePlan:
    return bare_plan(rig.folder)

"""From a stored record to what a driver needs to run it: files, ports, kernel, seed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lodge.drivers.instance.contract import AttachedDisk, AttachedNic, InstanceDriver, InstancePlan
from lodge.model.image import Image
from lodge.model.instance import DiskSpec, Firmware, Instance, NicSpec
from lodge.services.images.service import Images
from lodge.services.instances.folders import InstanceFolders
from lodge.services.networks.service import Networks
from lodge.services.seeds.seed import SeedNic, write_seed
from lodge.services.volumes.service import Volumes

__all__ = ["Planner", "port_name"]


class Planner:
    """Resolve records into plans; makes nothing but the seed."""

    def __init__(
        self,
        folders: InstanceFolders,
        volumes: Volumes,
        networks: Networks,
        images: Images,
        drivers: Mapping[str, InstanceDriver],
    ) -> None:
        self.folders = folders
        self._volumes = volumes
        self._networks = networks
        self.images = images
        self.drivers = drivers

    def driver(self, record: Instance) -> InstanceDriver:
        """Return the driver that runs this instance."""
        return self.drivers[record.driver]

    def image(self, record: Instance) -> Image | None:
        """Return the image it was made from, if it still has one."""
        return self.images.get(record.spec.image) if record.spec.image else None

    async def plan(self, record: Instance) -> InstancePlan:
        """Say what to run; every file named in it exists once the instance was created."""
        return replace(
            self.preview(record),
            disks=[await self._disk(disk) for disk in record.spec.disks],
            nics=[self._nic(record, nic) for nic in record.spec.nics],
            seed=self._seed(record),
        )

    def preview(self, record: Instance) -> InstancePlan:
        """Return the plan without disks, nics and seed, for a driver to judge the rest by."""
        plan = InstancePlan(
            id=record.id,
            name=record.name,
            spec=record.spec,
            machine_version=record.machine_version,
            uid=record.uid,
            run_dir=self.folders.run_dir(record.id),
            state_dir=self.folders.of(record.id),
        )
        image = self.image(record)
        if image is not None and record.spec.boot.firmware is Firmware.DIRECT:
            return self._with_kernel(plan, image)
        return plan

    def _with_kernel(self, plan: InstancePlan, image: Image) -> InstancePlan:
        folder = self.images.folder(image.fingerprint)
        vmlinux = folder / "vmlinux"
        return replace(
            plan,
            kernel=folder / "vmlinuz",
            initrd=folder / "initrd",
            vmlinux=vmlinux if vmlinux.exists() else None,
            command_line=plan.spec.boot.command_line or image.command_line,
        )

    def _seed(self, record: Instance) -> Path | None:
        seed = self.folders.seed(record.id)
        return seed if seed.exists() else None

    async def _disk(self, disk: DiskSpec) -> AttachedDisk:
        files = await self._volumes.files(disk.pool, disk.volume)
        return AttachedDisk(
            name=disk.name,
            path=files.path,
            format=files.format.value,
            is_read_only=disk.is_read_only,
            bus=disk.bus.value,
            chain=files.chain,
        )

    def _nic(self, record: Instance, nic: NicSpec) -> AttachedNic:
        mac = nic.mac or ""
        network = self._networks.get(nic.network)
        return AttachedNic(
            name=nic.name,
            mac=mac,
            mtu=network.mtu,
            open_port=lambda: self._networks.open_port(
                network.name, port_name(record, nic), mac, uid=record.uid
            ),
        )

    def write_seed(self, record: Instance) -> None:
        """Write the NoCloud seed anew, readable by the instance's process only."""
        nics = [SeedNic(name=nic.name, mac=nic.mac or "") for nic in record.spec.nics]
        write_seed(
            self.folders.seed(record.id),
            instance_id=record.id,
            hostname=record.name,
            cloud_init=record.spec.cloud_init,
            nics=nics,
            uid=record.uid,
        )


def port_name(record: Instance, nic: NicSpec) -> str:
    """Name the tap of a nic: at most 15 characters (IFNAMSIZ).

    Unique by the instance's id, which has twelve, and the nic's place: names of nics may be alike.
    """
    return f"l{record.id[:12]}{record.spec.nics.index(nic)}"

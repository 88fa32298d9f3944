"""Settings of the tiny image, as one table."""

from lodge.base.units import MIB
from lodge.drivers.builder.render import DiskPlan

__all__ = ["KERNEL_PACKAGE", "MODULES", "PACKAGES", "PLAN", "RAM_COMMAND_LINE", "TOOLS"]

KERNEL_PACKAGE = "linux-image-cloud-amd64"
"""A package that depends on the real kernel package of the day."""

PACKAGES = ("busybox-static", "dropbear-bin", "qemu-guest-agent")

_MODULES = """
    virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_mmio
    virtio_blk failover net_failover virtio_net virtio_console virtio_balloon rng-core virtio-rng
    vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport
    scsi_common scsi_mod sd_mod virtio_scsi ahci cdrom sr_mod isofs fuse virtiofs virtio_mem
    overlay nls_ascii nls_cp437 fat vfat evdev button pvpanic pvpanic-pci pvpanic-mmio
"""

MODULES = tuple(_MODULES.split())
"""Kernel modules in load order; one that is built in or not there is left out.

virtio_ring must come before virtio: else every virtio driver fails without a message.
"""

RAM_COMMAND_LINE = "console=ttyS0 quiet"
"""Boots the initrd as the whole guest, with no disk."""

PLAN = DiskPlan(
    name="tiny",
    title="Lodge tiny guest",
    label="tiny-root",
    command_line=f"{RAM_COMMAND_LINE} net.ifnames=0 root=LABEL=tiny-root",
    size_bytes=256 * MIB,
    esp_bytes=64 * MIB,
)

TOOLS = {
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "depmod": "kmod",
    "lz4": "lz4",
    "zstd": "zstd",
}
"""What is needed besides the tools of the disk."""

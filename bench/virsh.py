"""The peer "libvirt": a daemon of its own inside a simulated host, driven by ``virsh``.

Optional: where libvirt (Debian: libvirt-daemon, libvirt-clients, libvirt-daemon-driver-qemu) is
not installed, ``Virsh.on`` says so and the comparison is left out.
"""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.host import SimulatedHost, milliseconds_since, wait_for

__all__ = ["Virsh"]

_OWN_FOLDERS = r"""
for folder in /etc/libvirt /var/lib/libvirt /var/cache/libvirt /var/log/libvirt; do
    mkdir -p "$folder" && mount -t tmpfs tmpfs "$folder"
done
mkdir -p /etc/libvirt/qemu
printf '%s\n' 'stdio_handler="file"' 'user="root"' 'group="root"' 'security_driver="none"' \
    'namespaces=[]' 'dynamic_ownership=0' > /etc/libvirt/qemu.conf
# The driver asks for these names, which only Debian's packages for whole systems make.
for file in passwd group; do
    grep -v '^libvirt-qemu:' "/etc/$file" > "/run/$file"
done
echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >> /run/passwd
echo 'libvirt-qemu:x:64055:' >> /run/group
for name in kvm libvirt; do
    grep -q "^$name:" /run/group || echo "$name:x:6405${#name}:" >> /run/group
done
mount --bind /run/passwd /etc/passwd && mount --bind /run/group /etc/group
echo 'host_uuid="2b1c5c5e-0d9e-4c5c-9a77-5a1f2b7c9d10"' > /etc/libvirt/libvirtd.conf
"""

_DOMAIN = """
<domain type='qemu'><name>peer</name><memory unit='MiB'>256</memory><vcpu>1</vcpu>
<os><type machine='pc-q35-7.2'>hvm</type>
<kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>console=ttyS0 quiet</cmdline></os>
<features><acpi/></features><cpu mode='maximum'/><on_crash>destroy</on_crash>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>
<source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
<interface type='bridge'><source bridge='peer0'/><model type='virtio'/></interface>
<serial type='file'><source path='{folder}/serial.log'/></serial>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<graphics type='vnc' socket='{folder}/vnc.sock'/><video><model type='vga'/></video>
<rng model='virtio'><backend model='builtin'/></rng><memballoon model='virtio'/>
</devices></domain>
"""


class Virsh:
    """One libvirtd with one domain."""

    def __init__(self, host: SimulatedHost, daemon: "subprocess.Popen[bytes]") -> None:
        self._host = host
        self._daemon = daemon

    @classmethod
    def on(cls, host: SimulatedHost, argv: list[str]) -> "Virsh | None":
        """Start libvirtd and define a VM like the one ``argv`` runs; null without libvirt."""
        if shutil.which("virsh") is None or shutil.which("libvirtd") is None:
            print("libvirt is not installed: nothing is compared with virsh", file=sys.stderr)
            return None
        host.run("sh", "-ec", _OWN_FOLDERS)
        log = (host.folder / "libvirtd.log").open("wb")
        daemon = subprocess.Popen(host.command("libvirtd"), stdin=subprocess.DEVNULL, stderr=log)
        virsh = cls(host, daemon)
        wait_for(lambda: virsh.run("uri", check=False).returncode == 0, what="libvirtd to answer")
        virsh.define(argv)
        return virsh

    def run(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
        """Run virsh on the host."""
        return self._host.run("virsh", "-q", "-c", "qemu:///system", *words, check=check)

    def define(self, argv: list[str]) -> None:
        """Define the domain with kernel and initrd of ``argv`` and an overlay on its image."""
        kernel, initrd = (argv[argv.index(word) + 1] for word in ("-kernel", "-initrd"))
        folder = self._host.folder
        disk, base = folder / "peer.qcow2", Path(kernel).with_name("disk.qcow2")
        self._host.run(
            "qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", disk
        )  # fmt: skip
        self._host.run("sh", "-ec", "ip link add peer0 type bridge && ip link set peer0 up")
        text = _DOMAIN.format(kernel=kernel, initrd=initrd, disk=disk, folder=folder)
        (folder / "peer.xml").write_text(text)
        self.run("define", str(folder / "peer.xml"))

    def timed(self, verb: str) -> float:
        """Milliseconds that the command takes, its own start included."""
        begun = time.perf_counter()
        self.run(verb, "peer")
        return milliseconds_since(begun)

    def close(self) -> None:
        """End libvirtd."""
        self._daemon.terminate()
        self._daemon.wait()

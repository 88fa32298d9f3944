"""Boot a disk by a bare QEMU, without any of Lodge's drivers, and watch its serial log."""

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

OVMF = Path("/usr/share/OVMF")


def host_khz() -> int:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("cpu MHz"):
            return int(float(line.partition(":")[2]) * 1000)
    return 2_000_000


@dataclass
class Guest:
    """One running QEMU; its serial output goes to a file, its agent to a socket."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    ssh_port: int = 0
    seen: list[str] = field(default_factory=list)

    @property
    def serial(self) -> str:
        log = self.folder / "serial.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def wait_for(self, marker: str, idle_s: float = 90.0, limit_s: float = 400.0) -> str:
        """Wait for a text on the serial line; give up when the line is silent for long."""
        started = changed = time.monotonic()
        size = 0
        while marker not in (text := self.serial):
            now = time.monotonic()
            if len(text) != size:
                size, changed = len(text), now
            assert self.process.poll() is None, f"QEMU ended: {self.errors}\n{text[-2000:]}"
            assert now - changed < idle_s, (
                f"silent for {idle_s} s without {marker!r}:\n{text[-3000:]}"
            )
            assert now - started < limit_s, f"no {marker!r} in {limit_s} s:\n{text[-3000:]}"
            time.sleep(0.05)
        return text

    @property
    def errors(self) -> str:
        return (self.folder / "qemu.log").read_text(errors="replace")

    def agent(self, command: str, limit_s: float = 60.0, **arguments: object) -> object:
        """Ask the guest agent; asks again until it answers."""
        ends = time.monotonic() + limit_s
        while True:
            try:
                return self._ask(command, arguments)
            except OSError:
                assert time.monotonic() < ends, f"the agent does not answer {command}"
                time.sleep(0.2)

    def tell(self, command: str, **arguments: object) -> None:
        """Give the agent an order that it does not answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.folder / "qga"))
            line.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")

    def press_power_button(self) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self.folder / "monitor"))
            line.sendall(b"system_powerdown\n")
            said = b""
            while b"system_powerdown" not in said or not said.endswith(b"(qemu) "):
                said += line.recv(65536)

    def _ask(self, command: str, arguments: dict[str, object]) -> object:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self.folder / "qga"))
            line.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                answer += line.recv(65536)
        parsed = json.loads(answer)
        assert "error" not in parsed, parsed
        return parsed["return"]

    def run(self, *command: str) -> str:
        """Run a program in the guest by its agent and return what it printed."""
        started = self.agent(
            "guest-exec", path=command[0], arg=list(command[1:]), **{"capture-output": True}
        )
        ends = time.monotonic() + 120
        while True:
            state = self.agent("guest-exec-status", pid=started["pid"])  # type: ignore[index]
            assert isinstance(state, dict)
            if state["exited"]:
                return base64.b64decode(state.get("out-data", "")).decode(errors="replace")
            assert time.monotonic() < ends, f"{command} does not end"
            time.sleep(0.2)


def overlay(image: Path, target: Path, size: str | None = None) -> Path:
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", "qcow2", target]
    subprocess.run([*argv, *([size] if size else [])], check=True)
    return target


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def machine(mode: str, folder: Path, image: Path, command_line: str) -> list[str]:
    """Options for one way of booting: bios, uefi, direct, microvm."""
    if mode == "bios":
        return ["-machine", "q35"]
    if mode == "uefi":
        shutil.copy(OVMF / "OVMF_VARS_4M.fd", folder / "vars.fd")
        code = f"if=pflash,format=raw,readonly=on,file={OVMF}/OVMF_CODE_4M.fd"
        return [
            "-machine",
            "q35",
            "-drive",
            code,
            "-drive",
            f"if=pflash,format=raw,file={folder}/vars.fd",
        ]
    direct = ["-initrd", str(image / "initrd"), "-append", command_line]
    if mode == "direct":
        return ["-machine", "q35", "-kernel", str(image / "vmlinuz"), *direct]
    direct[-1] += f" tsc_early_khz={host_khz()} tsc=reliable no_timer_check"
    board = "microvm,isa-serial=on,rtc=on,pit=on,pic=on,acpi=on"
    return ["-machine", board, "-bios", "qboot.rom", "-kernel", str(image / "vmlinux"), *direct]


@contextmanager
def boot(
    folder: Path,
    mode: str,
    image: Path,
    *,
    command_line: str = "",
    disk: Path | None = None,
    seed: Path | None = None,
    memory_mib: int = 256,
    extra: Sequence[str] = (),
    mac: str = "52:54:00:00:00:01",
) -> Iterator[Guest]:
    """Start QEMU; it is killed and reaped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    bus = "device" if mode == "microvm" else "pci"
    port = free_port()
    argv = [
        "qemu-system-x86_64",
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        str(memory_mib),
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-monitor",
        f"unix:{folder}/monitor,server=on,wait=off",
        "-serial",
        f"file:{folder}/serial.log",
        *machine(mode, folder, image, command_line),
        "-netdev",
        f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device",
        f"virtio-net-{bus},netdev=n0,mac={mac}" + (",romfile=" if bus == "pci" else ""),
        "-device",
        f"virtio-rng-{bus}",
        "-device",
        f"virtio-serial-{bus}",
        "-chardev",
        f"socket,id=qga,path={folder}/qga,server=on,wait=off",
        "-device",
        "virtserialport,chardev=qga,name=org.qemu.guest_agent.0",
        *extra,
    ]
    if disk is not None:
        argv += [
            "-drive",
            f"file={disk},if=none,id=d0,discard=unmap",
            "-device",
            f"virtio-blk-{bus},drive=d0",
        ]
    if seed is not None:
        argv += [
            "-drive",
            f"file={seed},if=none,id=seed,format=raw,readonly=on",
            "-device",
            f"virtio-blk-{bus},drive=seed",
        ]
    with (folder / "qemu.log").open("wb") as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield Guest(folder, process, port)
    finally:
        process.kill()
        process.wait()

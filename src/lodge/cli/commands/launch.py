"""``lodge launch``: from an image to a running instance."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lodge.base.units import parse_mib, parse_size
from lodge.cli.errors import UsageError
from lodge.cli.inputs import read_public_keys, read_text
from lodge.cli.parser import Command
from lodge.cli.waiting import add_wait_options, carry_out

if TYPE_CHECKING:
    from argparse import Namespace

    from lodge.cli.invocation import Invocation
    from lodge.cli.parser import Parser
    from lodge.model.instance import BootSpec, CloudInitSpec
    from lodge.model.requests import InstanceCreate

__all__ = ["COMMANDS"]

GUEST_S = 120.0
"""A Debian guest without hardware acceleration needs 40 to 90 s to its agent."""

_LOOK_S = 0.5


def _add(parser: Parser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="alias or fingerprint (lodge image list)")
    parser.add_argument("name", metavar="NAME", help="name of the new instance")
    _add_size(parser)
    _add_guest(parser)
    _add_machine(parser)
    how = parser.add_argument_group("how it is done")
    how.add_argument("--no-start", action="store_true", help="create it, do not start it")
    how.add_argument(
        "--wait",
        type=float,
        default=GUEST_S,
        metavar="SECONDS",
        help="at most for the guest's agent, once it runs; 0: do not (120)",
    )
    how.add_argument("--dry-run", action="store_true", help="check everything, change nothing")
    add_wait_options(parser)


def _add_size(parser: Parser) -> None:
    size = parser.add_argument_group("size and place")
    size.add_argument("--cpus", type=int, metavar="N", help="virtual CPUs")
    size.add_argument("--memory", type=parse_mib, metavar="SIZE", help="as in 2GiB; 512 is MiB")
    size.add_argument("--disk", type=parse_size, metavar="SIZE", help="root disk, as in 20GiB")
    size.add_argument("--pool", metavar="POOL", help="storage pool of the root disk")
    size.add_argument(
        "--network",
        action="append",
        metavar="NETWORK",
        help="connect to this network; repeat for more nics; 'none': no nic",
    )
    size.add_argument(
        "--profile",
        action="append",
        metavar="PROFILE",
        help="begin with this profile; repeat: later ones win (default)",
    )


def _add_guest(parser: Parser) -> None:
    guest = parser.add_argument_group("inside the guest")
    guest.add_argument("--cloud-init", metavar="FILE", help="user-data for cloud-init; - is stdin")
    guest.add_argument("--network-config", metavar="FILE", help="network-config for cloud-init")
    guest.add_argument("--vendor-data", metavar="FILE", help="vendor-data for cloud-init")
    guest.add_argument(
        "--ssh-key",
        action="append",
        default=[],
        metavar="FILE",
        help="public key that may log in as the image's user; repeat for more",
    )


def _add_machine(parser: Parser) -> None:
    machine = parser.add_argument_group("machine")
    machine.add_argument("--machine", choices=("q35", "microvm"), help="board (q35)")
    machine.add_argument("--firmware", choices=("bios", "uefi", "direct"), help="boot by (bios)")
    machine.add_argument("--command-line", metavar="TEXT", help="kernel's, with --firmware direct")
    machine.add_argument("--cpu-model", metavar="MODEL", help="CPU model of QEMU (auto)")
    machine.add_argument("--on-crash", choices=("restart", "stop"), help="after a crash (restart)")
    machine.add_argument("--start-at-boot", action="store_true", help="start with the host")
    machine.add_argument("--boot-order", type=int, metavar="N", help="low numbers start first")
    machine.add_argument("--protect", action="store_true", help="refuse to delete it")
    machine.add_argument("--description", default="", metavar="TEXT", help="for people")
    machine.add_argument("--tag", action="append", metavar="TAG", help="for filters; repeat")


def _request(args: Namespace) -> InstanceCreate:
    from lodge.model.instance import CrashPolicy, MachineType
    from lodge.model.requests import InstanceCreate

    if args.dry_run and args.no_wait:
        raise UsageError("--dry-run starts no task: there is nothing to wait or not to wait for")
    return InstanceCreate(
        name=args.name,
        image=args.image,
        description=args.description,
        tags=None if args.tag is None else tuple(args.tag),
        profiles=("default",) if args.profile is None else tuple(args.profile),
        cpus=args.cpus,
        cpu_model=args.cpu_model,
        memory_mib=args.memory,
        disk_bytes=args.disk,
        pool=args.pool,
        networks=_networks(args.network),
        machine=None if args.machine is None else MachineType(args.machine),
        boot=_boot(args),
        cloud_init=_cloud_init(args),
        on_crash=None if args.on_crash is None else CrashPolicy(args.on_crash),
        starts_at_boot=True if args.start_at_boot else None,
        boot_order=args.boot_order,
        is_protected=args.protect,
        starts=not args.no_start,
    )


def _networks(names: list[str] | None) -> tuple[str, ...] | None:
    if names is None:
        return None
    if "none" not in names:
        return tuple(names)
    if len(names) > 1:
        raise UsageError("--network none goes with no other --network")
    return ()


def _boot(args: Namespace) -> BootSpec | None:
    from lodge.model.instance import BootSpec, Firmware

    if args.firmware is None and args.command_line is None:
        return None
    if args.command_line is not None and args.firmware != "direct":
        raise UsageError("--command-line needs --firmware direct")
    return BootSpec(firmware=Firmware(args.firmware), command_line=args.command_line)


def _cloud_init(args: Namespace) -> CloudInitSpec | None:
    from lodge.model.instance import CloudInitSpec

    if not (args.cloud_init or args.network_config or args.vendor_data or args.ssh_key):
        return None
    return CloudInitSpec(
        user_data=read_text(args.cloud_init) if args.cloud_init else None,
        vendor_data=read_text(args.vendor_data) if args.vendor_data else None,
        network_config=read_text(args.network_config) if args.network_config else None,
        ssh_keys=tuple(key for path in args.ssh_key for key in read_public_keys(path)),
    )


def _run(invocation: Invocation, args: Namespace) -> int:
    request = _request(args)
    instances = invocation.client.instances
    if args.dry_run:
        instances.check_create(request)
        invocation.say(f"{args.name} could be launched; nothing was changed")
        return 0
    task = carry_out(
        invocation, args, f"Launching {args.name}", lambda s: instances.create(request, wait_s=s)
    )
    if args.no_wait:
        invocation.say(task["id"])
        return 0
    for warning in (task.get("result") or {}).get("warnings", ()):
        invocation.tell(f"warning: {warning}")
    view = instances.get(args.name)
    if not args.no_start and args.wait > 0 and _has_agent(invocation, view):
        view = _await_agent(invocation, args, view)
    if args.format == "json":
        from lodge.cli.formats import to_json

        invocation.say(to_json(view))
        return 0
    _tell(invocation, view)
    return 0


def _tell(invocation: Invocation, view: Any) -> None:
    from lodge.cli.commands.instances import first_address

    address = first_address(view)
    where = f" at {address}" if address else ""
    invocation.say(f"{view['name']} is {view['state']}{where}")
    if view["state"] == "stopped":
        invocation.tell(f"start it with: lodge start {view['name']}")


def _has_agent(invocation: Invocation, view: Any) -> bool:
    """Whether the guest will tell when it is there; an image that is gone promises nothing."""
    from lodge.base.errors import LodgeError

    image = view["spec"].get("image")
    if not image:
        return False
    try:
        return bool(invocation.client.images.get(image).get("has_agent"))
    except LodgeError:
        return False


def _await_agent(invocation: Invocation, args: Namespace, view: Any) -> Any:
    """Look until the guest's agent answers; the limit and Ctrl-C leave it running, unharmed."""
    from lodge.cli.progress import ProgressLine

    line = ProgressLine(
        invocation.err, f"Launching {args.name}", is_terminal=invocation.err.isatty()
    )
    began = time.monotonic()
    try:
        while view["state"] == "running" and not view["status"]["agent_answers"]:
            waited_s = time.monotonic() - began
            if waited_s > args.wait:
                line.clear()
                invocation.tell(
                    f"the guest's agent did not answer within {args.wait:g} s; it may still be"
                    f" starting: lodge logs {args.name}"
                )
                break
            line.show(_waiting(waited_s), invocation.now())
            time.sleep(_LOOK_S)
            view = invocation.client.instances.get(args.name)
    except KeyboardInterrupt:
        line.clear()
        invocation.tell(f"stopped waiting; {args.name} goes on")
    finally:
        line.clear()
    return view


def _waiting(waited_s: float) -> dict[str, Any]:
    """Put the waiting as a task's step, as progress lines are made of them."""
    progress = {"done": int(waited_s), "unit": "s"}
    step = {"name": "waiting for the guest's agent", "state": "running", "progress": progress}
    return {"state": "running", "steps": [step]}


COMMANDS = (
    Command(
        "launch",
        "Create an instance from an image and start it",
        _add,
        _run,
        (
            "lodge launch debian-12 web1",
            "lodge launch debian-12 db1 --cpus 4 --memory 8GiB --disk 100GiB --protect",
            "lodge launch debian-12 web2 --ssh-key ~/.ssh/id_ed25519.pub --cloud-init web.yaml",
            "lodge launch tiny t1 --machine microvm --firmware direct --network none",
        ),
    ),
)

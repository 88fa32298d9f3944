"""Plan in, command line out: every pair is a file that people can read and review.

``LODGE_GOLDEN=write pytest tests/unit/qemu/test_qemu_golden.py`` writes the files anew.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from golden_plans import PAIRS

from lodge.drivers.instance.contract import InstancePlan
from lodge.drivers.instance.qemu.addresses import assign
from lodge.drivers.instance.qemu.firmware import FirmwareFiles
from lodge.drivers.instance.qemu.options import QemuOptions
from lodge.drivers.instance.qemu.render import LaunchFacts, Sockets, check_plan, render

GOLDEN = Path(__file__).parents[2] / "golden" / "qemu"


@pytest.mark.parametrize("name", PAIRS)
def test_a_plan_gives_its_command_line(
    name: str, make_plan: Callable[..., InstancePlan], firmware: FirmwareFiles
) -> None:
    wanted, decided = PAIRS[name]
    plan = make_plan(**wanted)
    options = decided.get("options", QemuOptions())
    check_plan(plan, versions=["pc-q35-7.2", "microvm"], firmware=firmware, options=options)
    facts = {
        "accelerator": "tcg",
        "cpu_model": "max",
        "sockets": Sockets.within(plan.run_dir),
        "serial_log": plan.state_dir / "serial.log",
        "addresses": assign(plan, spare_ports=options.spare_ports),
        "firmware": firmware,
        "tap_fds": {nic.name: 20 + index for index, nic in enumerate(plan.nics)},
        "tsc_khz": 2_596_122,
        **decided,
    }
    lines = "".join(f"{word}\n" for word in render(plan, LaunchFacts(**facts)))
    file = GOLDEN / f"{name}.args"
    if os.environ.get("LODGE_GOLDEN") == "write":
        file.write_text(lines)
    assert file.read_text() == lines


def test_every_golden_file_belongs_to_a_pair() -> None:
    assert {file.stem for file in GOLDEN.glob("*.args")} == set(PAIRS)

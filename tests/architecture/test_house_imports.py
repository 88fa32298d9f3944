"""Imports are law: layers, no cycles, drivers apart, no server room in client and CLI."""

import subprocess
import sys
from pathlib import Path

from house import ROOT


def test_import_contracts_are_kept() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run(
        [linter, "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


def test_broad_excepts_stand_only_at_the_edges() -> None:
    edges = {
        "tasks": "task runner",
        "api": "API",
        "daemon": "loop",
        "cli": "CLI",
        "services/instances/watch.py": "loop",
        "services/instances/boot.py": "loop",
        "services/networks/health.py": "loop",
        "services/pools/guard.py": "loop",
    }
    source = ROOT / "src" / "lodge"
    for path in source.rglob("*.py"):
        name = str(path.relative_to(source))
        if "except Exception" in path.read_text(encoding="utf-8"):
            assert any(name == edge or name.startswith(f"{edge}/") for edge in edges), name

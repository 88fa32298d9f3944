"""A driver's folder has one shape; every kind has a contract, a registry and a fake."""

from pathlib import Path

import pytest
from house import SOURCE

DRIVERS = SOURCE / "drivers"
KINDS = sorted(p.name for p in DRIVERS.iterdir() if (p / "contract.py").exists())
FOLDERS = sorted(
    p for kind in KINDS for p in (DRIVERS / kind).iterdir() if (p / "driver.py").exists()
)


def test_there_are_drivers_to_judge() -> None:
    assert {"instance", "storage", "network", "builder"} <= set(KINDS)
    assert len(FOLDERS) >= 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_contract_a_registry_and_a_fake(kind: str) -> None:
    for name in ("contract.py", "registry.py", "errors.py"):
        assert (DRIVERS / kind / name).exists(), name
    assert (DRIVERS / kind / "fake" / "driver.py").exists()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_driver_folder_says_what_it_is_and_what_it_cannot(folder: Path) -> None:
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# ")
    assert len(readme.split()) > 30

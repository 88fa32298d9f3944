"""Fake cgroup trees in a folder: just the files a kernel would show before anything is written."""

from pathlib import Path

import pytest


@pytest.fixture
def v2_tree(tmp_path: Path) -> Path:
    """The root of a pure v2 host."""
    root = tmp_path / "cgroup"
    root.mkdir()
    (root / "cgroup.controllers").write_text("cpuset cpu io memory hugetlb pids\n")
    (root / "cgroup.subtree_control").write_text("")
    return root


@pytest.fixture
def v1_tree(tmp_path: Path) -> Path:
    """The folder with a v1 host's trees; cpu and cpuacct are mounted together."""
    root = tmp_path / "cgroup"
    for name in ("cpu,cpuacct", "cpuset", "memory", "pids", "freezer", "blkio"):
        (root / name).mkdir(parents=True)
    (root / "cpuset" / "cpuset.cpus").write_text("0-7\n")
    (root / "cpuset" / "cpuset.mems").write_text("0\n")
    return root


@pytest.fixture
def v1_mountinfo(v1_tree: Path) -> str:
    """What /proc/self/mountinfo says of it, with an empty v2 tree beside."""
    lines = [f"31 23 0:28 / {v1_tree} rw - tmpfs tmpfs rw,mode=755"]
    for number, folder in enumerate(sorted(v1_tree.iterdir()), start=32):
        lines.append(
            f"{number} 31 0:{number} / {folder} rw shared:9 - cgroup cgroup rw,{folder.name}"
        )
    lines.append(f"50 31 0:50 / {v1_tree}/systemd rw - cgroup cgroup rw,name=systemd")
    lines.append(f"51 31 0:51 / {v1_tree}/unified rw - cgroup2 cgroup2 rw,nsdelegate")
    return "\n".join(lines)

"""Modes of what ends up in an image: the guest's users must not depend on the daemon's umask."""

from pathlib import Path

__all__ = ["open_folders"]


def open_folders(root: Path) -> None:
    """Let everybody pass through a tree's folders and list them (0755), the top one included."""
    root.chmod(0o755)
    for path in root.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)

"""The folders a daemon needs before anything else, with the modes that keep guests apart."""

import errno
import os

from lodge.base.errors import UnavailableError
from lodge.daemon.settings import DaemonSettings
from lodge.system.files import make_folder
from lodge.system.identity import GUEST_GID

__all__ = ["FolderUnusableError", "make_folders"]

_PASSABLE = 0o711
"""Guests' processes and helpers pass through to their own files and see no names."""


class FolderUnusableError(UnavailableError):
    """A folder of the daemon cannot be made or written."""

    code = "folder_unusable"
    retryable = False


def make_folders(settings: DaemonSettings) -> None:
    """Make the state and run folders; idempotent.

    Raises:
        FolderUnusableError: the file system refuses, with its own words.
    """
    state, run = settings.state_dir, settings.run_dir
    passable = (
        state,
        state / "instances",
        state / "networks",  # dnsmasq reads its own network's files there with few rights
        state / "pools",
        run,
        run / "instances",
    )
    private = (state / "tls", run / "networks")
    try:
        for folder in passable:
            make_folder(folder, mode=_PASSABLE)
        for folder in private:
            make_folder(folder, mode=0o700)
        images = state / "images"
        make_folder(images, mode=0o710)
        os.chown(images, 0, GUEST_GID)
    except OSError as error:
        words = os.strerror(error.errno or errno.EIO)
        raise FolderUnusableError(
            f"cannot use the folder {error.filename}: {words}",
            where=str(error.filename),
            hint="run lodged as root, or choose other folders with --state-dir and --run-dir",
        ) from error

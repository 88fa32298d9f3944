"""Where an instance's files are; named by its id, so that a rename moves nothing."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lodge.system.files import make_folder

__all__ = ["InstanceFolders"]


@dataclass(frozen=True, slots=True)
class InstanceFolders:
    """The two roots: ``state`` survives a reboot, ``run`` does not."""

    state: Path
    run: Path

    def of(self, instance_id: str) -> Path:
        """Folder of what must survive: seed, firmware variables, saved memory, logs."""
        return self.state / "instances" / instance_id

    def run_dir(self, instance_id: str) -> Path:
        """Folder of sockets."""
        return self.run / "instances" / instance_id

    def seed(self, instance_id: str) -> Path:
        """The NoCloud seed."""
        return self.of(instance_id) / "seed.iso"

    def saved_memory(self, instance_id: str) -> Path:
        """Memory of a suspended instance."""
        return self.of(instance_id) / "memory.saved"

    def partial_memory(self, instance_id: str) -> Path:
        """The same while it is written."""
        return self.of(instance_id) / "memory.part"

    def loading_memory(self, instance_id: str) -> Path:
        """The same from the moment a guest may run from it; then it must not be loaded again."""
        return self.of(instance_id) / "memory.loading"

    def make(self, instance_id: str, uid: int) -> None:
        """Make the state folder; idempotent.

        It is the daemon's: the instance's own process (whose group has its user's number) may pass
        through to the files it is given, but can put no link or pipe in the place of a file that
        the daemon will open.
        """
        make_folder(self.of(instance_id), mode=0o710, uid=os.geteuid(), gid=uid)

    def remove(self, instance_id: str) -> None:
        """Remove both folders; nothing happens when they are gone."""
        shutil.rmtree(self.of(instance_id), ignore_errors=True)
        shutil.rmtree(self.run_dir(instance_id), ignore_errors=True)

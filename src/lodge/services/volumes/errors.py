"""What can be wrong with a request about a volume."""

from lodge.base.errors import ConflictError, InvalidError, StateError

__all__ = ["VolumeInUseError", "VolumeNameTakenError", "VolumeOwnerRunsError", "VolumeSizeError"]


class VolumeNameTakenError(ConflictError):
    """The pool has a volume of that name already."""

    code = "volume_name_taken"
    hint_text = "choose another name"


class VolumeInUseError(ConflictError):
    """An instance owns the volume, so it goes only with the instance."""

    code = "volume_in_use"
    hint_text = "delete the instance instead"


class VolumeOwnerRunsError(StateError):
    """The instance that owns the volume is not stopped."""

    code = "volume_owner_runs"
    hint_text = "stop the instance first"


class VolumeSizeError(InvalidError):
    """A size is missing, or no size of a disk."""

    code = "volume_size_invalid"

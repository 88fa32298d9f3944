"""What can fail in a pool."""

from lodge.base.errors import (
    ConflictError,
    InvalidError,
    LimitError,
    NotFoundError,
    StateError,
    UnavailableError,
    UnsupportedError,
)

__all__ = [
    "PoolFullError",
    "PoolNotEmptyError",
    "PoolOfflineError",
    "PoolPathTakenError",
    "PoolPathUnsuitableError",
    "StorageDriverUnknownError",
    "VolumeBaseError",
    "VolumeBusyError",
    "VolumeCannotShrinkError",
    "VolumeExistsError",
    "VolumeNotFoundError",
    "VolumeTamperedError",
    "VolumeTooLargeError",
    "VolumeTooSmallError",
]


class PoolFullError(LimitError):
    """A pool has less free space than the change needs; nothing was left behind."""

    code = "pool_full"
    hint_text = "delete unused volumes, enlarge the pool's file system, or choose another pool"
    retryable = True


class PoolOfflineError(UnavailableError):
    """The pool's folder is not there, is not this pool's, or cannot be read or written."""

    code = "pool_offline"
    hint_text = "is its file system mounted? see: lodge pool show"


class PoolPathTakenError(ConflictError):
    """The folder holds other files or another pool."""

    code = "pool_path_taken"
    hint_text = "name an empty folder, or one that does not exist yet"


class PoolPathUnsuitableError(UnsupportedError):
    """The folder's file system cannot do what this driver needs."""

    code = "pool_path_unsuitable"


class PoolNotEmptyError(ConflictError):
    """A pool that still holds something is not deleted."""

    code = "pool_not_empty"
    hint_text = "delete or move what it holds first"


class StorageDriverUnknownError(InvalidError):
    """There is no storage driver of that name."""

    code = "storage_driver_unknown"


class VolumeNotFoundError(NotFoundError):
    """There is no such volume in the pool."""

    code = "volume_not_found"


class VolumeExistsError(ConflictError):
    """Another volume of that name is there, with another size, layout or base."""

    code = "volume_exists"
    hint_text = "choose another name, or delete the old one first"


class VolumeBusyError(StateError):
    """A running program has the volume open."""

    code = "volume_busy"
    hint_text = "stop the instance that uses it first"


class VolumeTooSmallError(InvalidError):
    """A linked clone would be smaller than its base; the message names both sizes."""

    code = "volume_too_small"


class VolumeCannotShrinkError(InvalidError):
    """A volume was asked to become smaller, which would cut off data."""

    code = "volume_cannot_shrink"
    hint_text = "make a smaller volume and copy the data inside a guest"


class VolumeTooLargeError(LimitError):
    """No file on the pool's file system can be that large, or the pool is smaller."""

    code = "volume_too_large"


class VolumeBaseError(InvalidError):
    """The file that a clone should stand on is missing or no sound, self-contained qcow2."""

    code = "volume_base_unusable"


class VolumeTamperedError(UnavailableError):
    """A volume's own header says something else than Lodge wrote into it."""

    code = "volume_tampered"
    hint_text = "its guest's process may have been taken over: keep it stopped and restore a backup"
    retryable = False

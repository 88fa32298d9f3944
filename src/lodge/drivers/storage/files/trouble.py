"""From the kernel's error numbers to errors a person can act on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from lodge.drivers.storage.errors import PoolFullError, PoolOfflineError, VolumeTooLargeError

__all__ = ["trouble_told"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_OFFLINE = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EROFS,
    errno.EIO,
    errno.EACCES,
    errno.EPERM,
    errno.ESTALE,
    errno.ENXIO,
    errno.ENODEV,
    errno.EHOSTDOWN,
    errno.ETIMEDOUT,
)


@contextmanager
def trouble_told(pool: str, what: str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into an error that names the pool and what was done.

    Raises:
        PoolFullError: no room or quota left.
        VolumeTooLargeError: the file system has no files of that size.
        PoolOfflineError: the place is missing, read-only or broken.
    """
    try:
        yield
    except OSError as error:
        where = f"pools/{pool}"
        if error.errno in _FULL:
            raise PoolFullError(
                f"pool {pool!r} has no room left to {what}", where=where, pool=pool
            ) from error
        if error.errno == errno.EFBIG:
            raise VolumeTooLargeError(
                f"the file system of pool {pool!r} has no files that large (to {what})", where=where
            ) from error
        if error.errno in _OFFLINE:
            raise PoolOfflineError(
                f"pool {pool!r} cannot {what}: {error.strerror}", where=where
            ) from error
        raise

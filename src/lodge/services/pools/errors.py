"""What can be wrong with a request about a pool."""

from lodge.base.errors import ConflictError, InvalidError, NotFoundError

__all__ = ["InvalidPoolPathError", "PoolExistsError", "PoolInUseError", "PoolNotFoundError"]


class PoolNotFoundError(NotFoundError):
    """There is no pool of that name."""

    code = "pool_not_found"
    hint_text = "see: lodge pool list"


class PoolExistsError(ConflictError):
    """A pool of that name is there already."""

    code = "pool_exists"
    hint_text = "choose another name"


class PoolInUseError(ConflictError):
    """A pool that has volumes is not deleted."""

    code = "pool_in_use"
    hint_text = "delete its volumes and the instances that own them first"


class InvalidPoolPathError(InvalidError):
    """A pool cannot lie there; the message says why."""

    code = "invalid_pool_path"

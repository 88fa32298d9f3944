"""What can be wrong with a request about an instance."""

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
    "AbilityMissingError",
    "DiskTooSmallError",
    "ImageNeedsKernelError",
    "InstanceExistsError",
    "InstanceKindUnsupportedError",
    "InstanceNotFoundError",
    "InstanceProtectedError",
    "InstanceSpecError",
    "MemoryTooLargeError",
    "MemoryTooSmallError",
    "NothingToChangeError",
    "ShutdownTimeoutError",
    "TooManyCpusError",
]


class InstanceNotFoundError(NotFoundError):
    """No instance has this name."""

    code = "instance_not_found"
    hint_text = "list what there is with: lodge list"


class InstanceExistsError(ConflictError):
    """An instance of this name exists already."""

    code = "instance_exists"
    hint_text = "choose another name, or delete the other instance first"


class InstanceProtectedError(StateError):
    """The instance is protected against deletion."""

    code = "instance_protected"
    hint_text = "lift the protection with: lodge set NAME protected=no"


class InstanceSpecError(InvalidError):
    """Parts of the request contradict each other."""

    code = "instance_spec_invalid"


class DiskTooSmallError(InvalidError):
    """The root disk would be smaller than the image it stands on."""

    code = "disk_too_small"


class MemoryTooSmallError(InvalidError):
    """The image cannot run with so little memory."""

    code = "memory_too_small"


class MemoryTooLargeError(LimitError):
    """The instance wants more memory than the host has."""

    code = "memory_too_large"
    hint_text = "give it less memory, or use a larger host"


class TooManyCpusError(LimitError):
    """The instance wants far more CPUs than the host has."""

    code = "too_many_cpus"


class ImageNeedsKernelError(InvalidError):
    """Direct boot was asked for, but the image has no kernel beside it."""

    code = "image_has_no_kernel"
    hint_text = "boot it with firmware bios or uefi, or use an image that Lodge built"


class InstanceKindUnsupportedError(UnsupportedError):
    """No driver on this host runs this kind of instance."""

    code = "instance_kind_unsupported"


class AbilityMissingError(UnsupportedError):
    """The driver of this instance cannot do what was asked."""

    code = "ability_missing"


class NothingToChangeError(InvalidError):
    """A change names no field."""

    code = "nothing_to_change"


class ShutdownTimeoutError(UnavailableError):
    """The guest did not end in the time it was given; it still runs."""

    code = "shutdown_timeout"
    hint_text = "give it longer (--timeout), or pull the plug with: lodge stop NAME"

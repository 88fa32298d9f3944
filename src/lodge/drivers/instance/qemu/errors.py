"""What can be wrong with a plan or a setting before QEMU is even started.

UnknownMachineError   the pinned machine type is not in the installed QEMU
UnsupportedPlanError  this combination can never run under QEMU
FirmwareMissingError  the firmware the plan needs is not installed
TooManyDevicesError   the machine has no place left for a device
InvalidOptionError    a setting of the driver is malformed
"""

from lodge.base.errors import InvalidError, LimitError, UnsupportedError

__all__ = [
    "FirmwareMissingError",
    "InvalidOptionError",
    "TooManyDevicesError",
    "UnknownMachineError",
    "UnsupportedPlanError",
]


class UnknownMachineError(UnsupportedError):
    """The installed QEMU does not have the machine type an instance is pinned to."""

    code = "unknown_machine"


class UnsupportedPlanError(UnsupportedError):
    """An instance asks for a combination that QEMU cannot run."""

    code = "unsupported_plan"


class FirmwareMissingError(UnsupportedError):
    """The firmware an instance needs is not installed on this host."""

    code = "firmware_missing"


class TooManyDevicesError(LimitError):
    """The machine has no place left for another device."""

    code = "too_many_devices"


class InvalidOptionError(InvalidError):
    """A setting of the QEMU driver is unknown, malformed or contradicts another one."""

    code = "invalid_qemu_option"

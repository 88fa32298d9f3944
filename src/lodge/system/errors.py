"""What can fail when the operating system is asked for something."""

from lodge.base.errors import LimitError, UnavailableError

__all__ = [
    "CertificateDamagedError",
    "DiskFullError",
    "KernelRefusedError",
    "ProgramFailedError",
    "ProgramMissingError",
    "ProgramTimeoutError",
    "UntrustedFileError",
]


class ProgramMissingError(UnavailableError):
    """A program that Lodge needs is not installed."""

    code = "program_missing"
    retryable = False


class ProgramFailedError(UnavailableError):
    """A program ended with an error; details carry its exit status and last output."""

    code = "program_failed"


class ProgramTimeoutError(UnavailableError):
    """A program did not end in time and was stopped."""

    code = "program_timeout"


class DiskFullError(LimitError):
    """A write found no room on the host's disk."""

    code = "disk_full"
    hint_text = "free space on that file system, then try again"
    retryable = True


class KernelRefusedError(UnavailableError):
    """The kernel refused a system call or a netlink request; details carry its ``errno``."""

    code = "kernel_refused"
    retryable = False


class UntrustedFileError(UnavailableError):
    """A file in a guest's folder is not what it should be: a guest may have put it there."""

    code = "untrusted_file"
    hint_text = "look at that folder; the guest's process may be under somebody else's control"
    retryable = False


class CertificateDamagedError(UnavailableError):
    """The daemon's certificate or key cannot be read, or they do not belong together."""

    code = "certificate_damaged"
    hint_text = "remove both files: the next start makes new ones (with a new fingerprint)"
    retryable = False

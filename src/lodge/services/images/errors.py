"""What can go wrong with images."""

from lodge.base.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    LimitError,
    NotFoundError,
    UnavailableError,
)

__all__ = [
    "ChecksumMismatchError",
    "ChecksumMissingError",
    "DownloadFailedError",
    "DownloadRefusedError",
    "DownloadTooLargeError",
    "ImageAmbiguousError",
    "ImageInUseError",
    "ImageNotADiskError",
    "ImageNotFoundError",
    "ImagePathDeniedError",
    "ImageSourceError",
    "ImageToolsMissingError",
]


class ImageNotFoundError(NotFoundError):
    """No image has this alias or fingerprint."""

    code = "image_not_found"
    hint_text = "see the images with: lodge image list"


class ImageAmbiguousError(InvalidError):
    """Several fingerprints begin like this."""

    code = "image_ambiguous"
    hint_text = "write more of the fingerprint, or use an alias"


class ImageInUseError(ConflictError):
    """Instances or volumes stand on the image; details name them."""

    code = "image_in_use"
    hint_text = "delete what uses it first; to hide it from people, take its aliases away"


class ImageSourceError(InvalidError):
    """The source is no catalogue name, no http(s) address and no absolute path."""

    code = "image_source_invalid"
    hint_text = "give a name of the catalogue, a http or https address, or an absolute path"


class ImagePathDeniedError(DeniedError):
    """Files of the host are taken only from root on the local socket."""

    code = "image_path_denied"
    hint_text = "upload the file instead: lodge image import FILE"


class ImageNotADiskError(InvalidError):
    """The file is plainly something else than a disk: packed, a web page, text."""

    code = "image_not_a_disk"
    hint_text = "give the disk itself; for a raw disk that only looks odd, say format raw"


class ChecksumMismatchError(InvalidError):
    """The content is not what its checksum says; it was thrown away."""

    code = "image_checksum_mismatch"
    hint_text = "the file changed or was damaged on the way: try again, or correct the checksum"


class ChecksumMissingError(InvalidError):
    """The published list of checksums does not name the file."""

    code = "image_checksum_missing"
    hint_text = "the publisher may be replacing the file just now: try again later"


class DownloadRefusedError(InvalidError):
    """The server does not give the file, and asking again would not help."""

    code = "image_download_refused"
    hint_text = "check the address"


class DownloadFailedError(UnavailableError):
    """The transfer broke off again and again; what arrived is kept, the next try goes on there."""

    code = "image_download_failed"
    hint_text = "try again: it goes on where it stopped"


class DownloadTooLargeError(LimitError):
    """The file is larger than this host takes."""

    code = "image_download_too_large"


class ImageToolsMissingError(UnavailableError):
    """Programs that the recipe needs are not installed."""

    code = "image_tools_missing"
    retryable = False

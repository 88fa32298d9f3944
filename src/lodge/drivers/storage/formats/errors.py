"""Why a disk file from somebody else is refused.

DiskFileError
|-- DiskFileEmptyError            nothing in it, or not a regular file
|-- DiskFileNotSectorsError       a raw file that is not made of whole sectors
|-- DiskFileMismatchError         it is not of the format it was said to be
|-- DiskFileTruncatedError        its end is missing
|-- DiskFileCorruptError          its tables contradict themselves or are absurd
|-- DiskFileBackingError          it stands on another file
|-- DiskFileDataFileError         its data is in another file
|-- DiskFilePartsError            it is made of several files
|-- DiskFileEncryptedError        its content is encrypted
|-- DiskFileTooLargeError         the disk inside is larger than allowed
`-- DiskFileUnsupportedError      a rare variant that cannot be read safely
"""

from lodge.base.errors import InvalidError

__all__ = [
    "DiskFileBackingError",
    "DiskFileCorruptError",
    "DiskFileDataFileError",
    "DiskFileEmptyError",
    "DiskFileEncryptedError",
    "DiskFileError",
    "DiskFileMismatchError",
    "DiskFileNotSectorsError",
    "DiskFilePartsError",
    "DiskFileTooLargeError",
    "DiskFileTruncatedError",
    "DiskFileUnsupportedError",
]


class DiskFileError(InvalidError):
    """A disk file cannot be used; catch this for any of the reasons."""

    code = "disk_file_invalid"


class DiskFileEmptyError(DiskFileError):
    """The file has no bytes, or is no regular file at all."""

    code = "disk_file_empty"
    hint_text = "name a file that holds a whole disk"


class DiskFileNotSectorsError(DiskFileError):
    """A file without any format's marks is too short, or ends within a sector: no raw disk."""

    code = "disk_file_not_sectors"
    hint_text = "a raw disk is a whole number of 512-byte sectors; was it cut off, or another file?"


class DiskFileMismatchError(DiskFileError):
    """The file's first bytes belong to another format than the one it was said to have."""

    code = "disk_file_format_mismatch"
    hint_text = "leave the format out to have it recognised, or name the right one"


class DiskFileTruncatedError(DiskFileError):
    """The file ends before its own tables say that it does."""

    code = "disk_file_truncated"
    hint_text = "copy or download the file again, then compare its checksum with the source"


class DiskFileCorruptError(DiskFileError):
    """The file's header or tables contradict themselves or are absurdly large."""

    code = "disk_file_corrupt"
    hint_text = "copy or download the file again; if it stays, repair it with the tool that made it"


class DiskFileBackingError(DiskFileError):
    """The file holds only differences to another file, which could be any file of the host."""

    code = "disk_file_has_backing_file"
    hint_text = "flatten it where it was made: qemu-img convert -O qcow2 OLD NEW"


class DiskFileDataFileError(DiskFileError):
    """The file keeps its data in another file, which could be any file of the host."""

    code = "disk_file_has_data_file"
    hint_text = "flatten it where it was made: qemu-img convert -O qcow2 OLD NEW"


class DiskFilePartsError(DiskFileError):
    """The disk is spread over several files."""

    code = "disk_file_has_parts"
    hint_text = "join it into one file where it was made: qemu-img convert -O qcow2 OLD NEW"


class DiskFileEncryptedError(DiskFileError):
    """The content is encrypted; nothing here has its key."""

    code = "disk_file_encrypted"
    hint_text = "decrypt it where its key is, then import the result"


class DiskFileTooLargeError(DiskFileError):
    """The disk inside is larger than allowed; the message names both sizes."""

    code = "disk_file_too_large"
    hint_text = "shrink the disk where it was made, or raise the limit"


class DiskFileUnsupportedError(DiskFileError):
    """The file uses a variant or feature that is not read here."""

    code = "disk_file_unsupported"
    hint_text = "convert it where it was made: qemu-img convert -O qcow2 OLD NEW"

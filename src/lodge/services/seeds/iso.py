"""An ISO 9660 image named ``cidata`` with Joliet and Rock Ridge names, made in memory."""

import io
from collections.abc import Mapping

__all__ = ["iso_image"]

_LABEL = "cidata"
_FILE_MODE = 0o100444


def iso_image(files: Mapping[str, bytes]) -> bytes:
    """Build the image; names are plain file names of its top folder.

    The label is what cloud-init's NoCloud data source searches for.
    """
    import pycdlib  # noqa: PLC0415 -- 40 ms that a daemon which makes no guest need not spend

    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=_LABEL)
    for number, (name, content) in enumerate(files.items()):
        disc.add_fp(
            io.BytesIO(content),
            len(content),
            f"/FILE{number}.;1",  # ISO 9660 itself has no hyphens and no lower case
            rr_name=name,
            joliet_path=f"/{name}",
            file_mode=_FILE_MODE,
        )
    out = io.BytesIO()
    disc.write_fp(out)
    disc.close()
    return out.getvalue()

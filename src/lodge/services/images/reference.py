"""How people name an image; pure."""

import difflib
import re
from collections.abc import Sequence

from lodge.model.image import Image
from lodge.services.images.errors import ImageAmbiguousError, ImageNotFoundError

__all__ = ["MIN_DIGITS", "find_image"]

MIN_DIGITS = 8
_DIGITS = re.compile(rf"[0-9a-f]{{{MIN_DIGITS},64}}")


def find_image(images: Sequence[Image], reference: str) -> Image:
    """Find the image with this alias, else the one whose fingerprint begins so.

    Raises:
        ImageNotFoundError: none; similar aliases are named.
        ImageAmbiguousError: several fingerprints begin so.
    """
    for image in images:
        if reference in image.aliases:
            return image
    if _DIGITS.fullmatch(reference):
        found = [image for image in images if image.fingerprint.startswith(reference)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ImageAmbiguousError(
                f"{len(found)} images have a fingerprint beginning with {reference}",
                where="image",
                fingerprints=[image.fingerprint for image in found],
            )
    known = [alias for image in images for alias in image.aliases]
    near = difflib.get_close_matches(reference, known, n=3)
    raise ImageNotFoundError(
        f"there is no image {reference!r}",
        where="image",
        hint=f"did you mean {' or '.join(near)}?" if near else None,
        near=near,
    )
